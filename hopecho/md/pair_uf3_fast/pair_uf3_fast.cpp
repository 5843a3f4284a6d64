// SPDX-License-Identifier: GPL-2.0-only

#include "pair_uf3_fast.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>

using namespace LAMMPS_NS;
using hopecho::PairTerm;
using hopecho::TripletTerm;

PairUF3Fast::PairUF3Fast(LAMMPS *lmp) : Pair(lmp)
{
  single_enable = 0;
  restartinfo = 0;
  one_coeff = 1;
  manybody_flag = 1;
  centroidstressflag = CENTROID_AVAIL;
  no_virial_fdotr_compute = 1;    // the kernels sum it while the vectors are at hand
}

PairUF3Fast::~PairUF3Fast()
{
  if (copymode || !allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
}

void PairUF3Fast::settings(int narg, char **arg)
{
  if (narg != 1 && !(narg == 3 && strcmp(arg[1], "isa") == 0))
    error->all(FLERR, "Usage: pair_style uf3/fast 2|3 [isa portable|avx2|avx512]");
  if (strcmp(arg[0], "2") != 0 && strcmp(arg[0], "3") != 0)
    error->all(FLERR, "Pair style uf3/fast knows 2 and 3 bodies, not {}", arg[0]);
  three_body = arg[0][0] == '3';
  isa = narg == 3 ? arg[2] : "";
  choose_kernel();
}

void PairUF3Fast::choose_kernel()
{
  bool avx2 = false, avx512 = false;
#if defined(HOPECHO_X86)
  __builtin_cpu_init();
  avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq");
#endif
  if (isa.empty()) isa = avx512 ? "avx512" : avx2 ? "avx2" : "portable";
  if ((isa == "avx512" && !avx512) || (isa == "avx2" && !avx2))
    error->one(FLERR, "This processor cannot run pair_style uf3/fast 3 isa {}", isa);
  if (isa == "portable") kernel = &hopecho::kernel_portable;
#if defined(HOPECHO_X86)
  else if (isa == "avx2") kernel = &hopecho::kernel_avx2;
  else if (isa == "avx512") kernel = &hopecho::kernel_avx512;
#endif
  else error->all(FLERR, "pair_style uf3/fast: isa is portable, avx2 or avx512, not {}", isa);
}

void PairUF3Fast::allocate()
{
  allocated = 1;
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) setflag[i][j] = 0;
}

// The text of a file, the same on every rank.
std::string PairUF3Fast::read_text(const char *name) const
{
  std::string text;
  int size = -1;
  if (comm->me == 0) {
    FILE *file = utils::open_potential(name, lmp, nullptr);
    if (file) {
      char block[65536];
      size_t got;
      while ((got = fread(block, 1, sizeof(block), file)) > 0) text.append(block, got);
      size = ferror(file) ? -1 : static_cast<int>(text.size());
      fclose(file);
    }
  }
  MPI_Bcast(&size, 1, MPI_INT, 0, world);
  if (size < 0) error->all(FLERR, "Cannot read the UF3 potential file {}", name);
  text.resize(size);
  MPI_Bcast(&text[0], size, MPI_CHAR, 0, world);
  return text;
}

void PairUF3Fast::coeff(int narg, char **arg)
{
  if (narg != 3 + atom->ntypes || strcmp(arg[0], "*") != 0 || strcmp(arg[1], "*") != 0)
    error->all(FLERR, "Usage: pair_coeff * * file.uf3 and one element for each atom type");
  if (!allocated) allocate();
  std::vector<std::string> names;
  element_of_type.assign(atom->ntypes + 1, 0);
  for (int type = 1; type <= atom->ntypes; type++) {
    const std::string name = arg[2 + type];
    auto found = std::find(names.begin(), names.end(), name);
    element_of_type[type] = static_cast<int>(found - names.begin());
    if (found == names.end()) names.push_back(name);
  }
  try {
    potential = std::make_unique<hopecho::Potential>(read_text(arg[2]), names, three_body);
  } catch (const std::runtime_error &problem) {
    error->all(FLERR, "{}: {}", arg[2], problem.what());
  }
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = 1; j <= atom->ntypes; j++) setflag[i][j] = 1;
  built_at = -1;
  if (comm->me == 0)
    utils::logmesg(lmp, "pair_style uf3/fast: {} kernel, {:.3g} MB of polynomials\n", isa,
                   potential->bytes() * 1e-6);
}

void PairUF3Fast::init_style()
{
  if (force->newton_pair == 0) error->all(FLERR, "Pair style uf3/fast needs newton pair on");
  if (!atom->tag_enable) error->all(FLERR, "Pair style uf3/fast needs atom IDs");
  // Lists of our own come out sorted; LAMMPS's list is needed where it leaves pairs out. (Its
  // `exclude` is not yet set here.)
  const bool leaves_out = neighbor->nex_type > 0 || neighbor->nex_group > 0 ||
      neighbor->nex_mol > 0 || atom->molecular != Atom::ATOMIC;
  list = nullptr;
  if (force->pair != this || leaves_out) neighbor->add_request(this, NeighConst::REQ_FULL);
  built_at = -1;
}

double PairUF3Fast::init_one(int i, int j)
{
  return potential->pair(element_of_type[i], element_of_type[j]).cut;
}

void PairUF3Fast::Lists::clear()
{
  run.clear();
  index.clear();
}

// Copy sorted neighbours to the end of a list.
void PairUF3Fast::append(Lists &lists, const Sorted &sorted)
{
  size_t at = lists.index.size(), most = at;
  for (const int n : sorted.count) most += n + 3;
  lists.index.resize(most);
  int *const index = lists.index.data();
  for (size_t e = 0; e < sorted.count.size(); e++) {
    lists.run.push_back(static_cast<int>(at));
    const int *const from = &sorted.index[e * sorted.room];
    for (int p = 0; p < sorted.count[e]; p++) index[at++] = from[p];
    while (at % 4) index[at++] = built_atoms;
  }
  longest = std::max(longest, static_cast<int>(at) - lists.run[lists.run.size() - sorted.count.size()]);
  lists.index.resize(at);
  lists.run.push_back(static_cast<int>(at));
}

// Fill `found` and `squared` with the neighbours of i within the longest cutoff and the skin.
int PairUF3Fast::neighbours_of(int i)
{
  if (!list) {
    const double most = cutforce + neighbor->skin;
    return bins.within(*kernel, atom->x[i], most * most, found, squared);
  }
  const int n = list->numneigh[i];
  found.resize(n);
  squared.resize(n);
  for (int jj = 0; jj < n; jj++) {
    const int j = list->firstneigh[i][jj] & NEIGHMASK;
    found[jj] = j;
    squared[jj] = 0.0;
    for (int d = 0; d < 3; d++)
      squared[jj] += (atom->x[j][d] - atom->x[i][d]) * (atom->x[j][d] - atom->x[i][d]);
  }
  return n;
}

// Sort the n neighbours found of i by kind (pairs, images, triplets) and element.
void PairUF3Fast::classify(int i, int n, Sorted *kinds)
{
  const int c = element[i], n_elements = potential->n_elements();
  const Limits *const limit = &limits[c * n_elements];
  const tagint *const tag = atom->tag, mine = tag[i];
  for (int kind = 0; kind < 3; kind++) kinds[kind].clear(n_elements, n);
  const int room = kinds[0].room;
  for (int at = 0; at < n; at++) {
    const int j = found[at], e = element[j];
    if (j == i || squared[at] >= limit[e].pair) continue;
    const tagint other = tag[j];
    // By identity and not by place: rounding cannot count a pair twice or never. What is written
    // without being counted is written over.
    const bool image = mine == other, half = (mine < other) == ((mine + other) % 2 == 0);
    for (int kind = 0; kind < 3; kind++) kinds[kind].index[e * room + kinds[kind].count[e]] = j;
    kinds[0].count[e] += half & !image;
    kinds[1].count[e] += image;
    kinds[2].count[e] += squared[at] < limit[e].triplet;
  }
}

void PairUF3Fast::Sorted::clear(int n_elements, int n)
{
  count.assign(n_elements, 0);
  room = n + 1;
  if (index.size() < static_cast<size_t>(n_elements) * room) index.resize(n_elements * room);
}

// Squared reach of the lists.
void PairUF3Fast::set_limits()
{
  const int n = potential->n_elements();
  limits.resize(n * n);
  for (int a = 0; a < n; a++)
    for (int b = 0; b < n; b++) {
      const double two = potential->pair(a, b).cut + neighbor->skin;
      const double three = three_body ? potential->reach(a, b) + neighbor->skin : 0.0;
      limits[a * n + b] = {two * two, three * three};
    }
}

// Own lists stay valid exactly as long as LAMMPS's, whose skin they share.
void PairUF3Fast::build_lists()
{
  built_atoms = atom->nlocal + atom->nghost;
  built_at = neighbor->ncalls;
  element.resize(built_atoms);
  for (int i = 0; i < built_atoms; i++) element[i] = element_of_type[atom->type[i]];
  n_centres = list ? list->inum : atom->nlocal;
  if (!list) {
    own_centres.resize(n_centres);
    for (int i = 0; i < n_centres; i++) own_centres[i] = i;
    // One element after the other: its tables stay in the cache.
    std::stable_sort(own_centres.begin(), own_centres.end(),
                     [this](int i, int j) { return element[i] < element[j]; });
    bins.fill(atom->x, built_atoms, cutforce + neighbor->skin);
  }
  centres = list ? list->ilist : own_centres.data();
  pairs.clear();
  images.clear();
  triplets.clear();
  longest = 0;
  set_limits();
  Sorted kinds[3];
  for (int ii = 0; ii < n_centres; ii++) {
    classify(centres[ii], neighbours_of(centres[ii]), kinds);
    append(pairs, kinds[0]);
    append(images, kinds[1]);
    append(triplets, kinds[2]);
  }
}

void PairUF3Fast::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  if (neighbor->ago == 0 || built_at != neighbor->ncalls ||
      built_atoms != atom->nlocal + atom->nghost)
    build_lists();
  if (eflag_atom || vflag_atom || cvflag_atom)
    compute_tallied();
  else
    compute_sums();
}

void PairUF3Fast::compute_sums()
{
  const int n_all = built_atoms;
  double **x = atom->x, **f = atom->f;
  x4.resize(4 * (n_all + 1));
  f4.assign(4 * (n_all + 1), 0.0);
  for (int i = 0; i < n_all; i++) {
    for (int d = 0; d < 3; d++) x4[4 * i + d] = x[i][d];
    x4[4 * i + 3] = 0.0;
  }
  for (int d = 0; d < 4; d++) x4[4 * n_all + d] = 1e30;
  scratch.resize(hopecho::scratch_size(longest, potential->n_elements()));
  hopecho::Input in;
  potential->fill(in);
  in.n_centres = n_centres;
  in.n_atoms = n_all;
  in.centre = centres;
  in.element = element.data();
  in.x = x4.data();
  in.pairs = {pairs.run.data(), pairs.index.data()};
  in.images = {images.run.data(), images.index.data()};
  in.triplets = {three_body ? triplets.run.data() : nullptr, triplets.index.data()};
  in.scratch = scratch.data();
  in.longest = longest;
  hopecho::Output out = {f4.data(), 0.0, {0, 0, 0, 0, 0, 0}, -1, -1};
  kernel->sums(in, out);
  if (out.bad_i >= 0) {
    double squared = 0.0;
    for (int d = 0; d < 3; d++)
      squared += (x[out.bad_j][d] - x[out.bad_i][d]) * (x[out.bad_j][d] - x[out.bad_i][d]);
    too_close(out.bad_i, out.bad_j, std::sqrt(squared));
  }
  for (int i = 0; i < n_all; i++)
    for (int d = 0; d < 3; d++) f[i][d] += f4[4 * i + d];
  if (eflag_global) eng_vdwl += out.energy;
  if (vflag_global)
    for (int d = 0; d < 6; d++) virial[d] += out.virial[d];
}

void PairUF3Fast::too_close(int i, int j, double r)
{
  const double first = potential->pair(element[i], element[j]).grid.first;
  error->one(FLERR,
             "pair_style uf3/fast: atoms {} and {} are {:.6g} apart, where the potential has no "
             "value (first knot {:.6g})",
             atom->tag[i], atom->tag[j], r, first);
}

double PairUF3Fast::memory_usage()
{
  const size_t ints = pairs.index.capacity() + images.index.capacity() + triplets.index.capacity() +
      pairs.run.capacity() + images.run.capacity() + triplets.run.capacity() + element.capacity();
  const size_t doubles = x4.capacity() + f4.capacity() + scratch.capacity();
  return Pair::memory_usage() + static_cast<double>(ints * sizeof(int) + doubles * sizeof(double)) +
      (potential ? potential->bytes() : 0.0);
}
