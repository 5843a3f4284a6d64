// SPDX-License-Identifier: GPL-2.0-only
// The same sums one pair and one triplet at a time, for steps that ask for per-atom energies or
// stresses. Shared out over the atoms as pair_style uf3 does.

#include "pair_uf3_fast.h"

#include "atom.h"
#include "force.h"

#include <cmath>

using namespace LAMMPS_NS;
using hopecho::Grid;
using hopecho::PairTerm;
using hopecho::TripletTerm;

namespace {

constexpr double THIRD = 1.0 / 3.0;

double length(const double *d)
{
  return std::sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
}

struct Place {
  int cell;
  double power[4], slope[4];    // 1, w, w^2, w^3 and their derivatives
  Place(const Grid &grid, double r) : cell(hopecho::cell_of(grid, r))
  {
    const double w =
        r - (grid.uniform ? grid.first + cell * grid.width : grid.knots[cell]);
    for (int p = 0; p < 4; p++) {
      power[p] = p ? power[p - 1] * w : 1.0;
      slope[p] = p ? p * power[p - 1] : 0.0;
    }
  }
};

}    // namespace

void PairUF3Fast::compute_tallied()
{
  const int n = potential->n_elements();
  std::vector<int> near;
  std::vector<double> vectors;
  for (int ii = 0; ii < n_centres; ii++) {
    const int i = centres[ii];
    for (const auto *lists : {&pairs, &images})
      for (int at = lists->run[ii * (n + 1)]; at < lists->run[ii * (n + 1) + n]; at++) {
        double d[3], r;
        if (!separation(i, lists->index[at], d, r)) continue;
        if (r < potential->pair(element[i], element[lists->index[at]]).cut)
          tally_pair(i, lists->index[at], d, r, lists == &pairs ? 2.0 : 1.0);
      }
    if (!three_body) continue;
    near.clear();
    vectors.clear();
    for (int at = triplets.run[ii * (n + 1)]; at < triplets.run[ii * (n + 1) + n]; at++) {
      const int j = triplets.index[at];
      double d[3], r;
      if (!separation(i, j, d, r) || !(r < potential->reach(element[i], element[j]))) continue;
      near.push_back(j);
      vectors.insert(vectors.end(), d, d + 3);
    }
    for (size_t j = 0; j < near.size(); j++)
      for (size_t k = j + 1; k < near.size(); k++)
        tally_triplet(i, near[j], near[k], &vectors[3 * j], &vectors[3 * k]);
  }
}

// Vector and distance from i to j; false where j only fills up a list.
bool PairUF3Fast::separation(int i, int j, double *d, double &r) const
{
  if (j == built_atoms) return false;
  for (int a = 0; a < 3; a++) d[a] = atom->x[j][a] - atom->x[i][a];
  r = length(d);
  return true;
}

void PairUF3Fast::tally_pair(int i, int j, const double *d, double r, double weight)
{
  const PairTerm &term = potential->pair(element[i], element[j]);
  if (!(r >= term.grid.first && r > 0.0)) too_close(i, j, r);
  const Place at(term.grid, r);
  double energy = 0.0, slope = 0.0;
  for (int p = 0; p < 4; p++) {
    energy += weight * potential->cubic(term, at.cell)[p] * at.power[p];
    slope += weight * potential->cubic(term, at.cell)[p] * at.slope[p];
  }
  double **f = atom->f;
  double on_i[3], back[3];
  for (int a = 0; a < 3; a++) {
    on_i[a] = slope / r * d[a];
    back[a] = -d[a];
    f[i][a] += on_i[a];
    f[j][a] -= on_i[a];
  }
  ev_tally_xyz(i, j, atom->nlocal, force->newton_pair, energy, 0.0, on_i[0], on_i[1], on_i[2],
               back[0], back[1], back[2]);
  if (!cvflag_atom) return;
  for (const int owner : {i, j}) {
    const double half[3] = {0.5 * back[0], 0.5 * back[1], 0.5 * back[2]};
    tally_centroid(owner, half, on_i);
  }
}

void PairUF3Fast::tally_triplet(int i, int j, int k, const double *dj, const double *dk)
{
  const TripletTerm &term = potential->triplet(element[i], element[j], element[k]);
  const double third[3] = {dk[0] - dj[0], dk[1] - dj[1], dk[2] - dj[2]};
  const double r[3] = {length(dj), length(dk), length(third)};
  if (r[0] >= term.cut || r[1] >= term.cut || r[0] < term.ij.first || r[1] < term.ik.first ||
      r[2] < term.jk.first)
    return;
  const Place a(term.ij, r[0]), b(term.ik, r[1]), c(term.jk, r[2]);
  const double *block = potential->blocks() +
      64 * (term.base + (static_cast<std::int64_t>(a.cell) * term.ik.cells + b.cell) * term.jk.cells +
            c.cell);
  double energy = 0.0, g[3] = {0.0, 0.0, 0.0};
  for (int l = 0; l < 4; l++)
    for (int m = 0; m < 4; m++)
      for (int n = 0; n < 4; n++) {
        const double value = block[16 * l + 4 * m + n];
        energy += value * a.power[l] * b.power[m] * c.power[n];
        g[0] += value * a.slope[l] * b.power[m] * c.power[n];
        g[1] += value * a.power[l] * b.slope[m] * c.power[n];
        g[2] += value * a.power[l] * b.power[m] * c.slope[n];
      }
  double on_i[3], on_j[3], on_k[3];
  double **f = atom->f;
  for (int d = 0; d < 3; d++) {
    const double along = g[2] / r[2] * third[d];
    on_j[d] = -g[0] / r[0] * dj[d] + along;
    on_k[d] = -g[1] / r[1] * dk[d] - along;
    on_i[d] = -on_j[d] - on_k[d];
    f[i][d] += on_i[d];
    f[j][d] += on_j[d];
    f[k][d] += on_k[d];
  }
  double vj[3] = {dj[0], dj[1], dj[2]}, vk[3] = {dk[0], dk[1], dk[2]};
  ev_tally3(i, j, k, energy, 0.0, on_j, on_k, vj, vk);
  if (!cvflag_atom) return;
  double from[3][3];
  for (int d = 0; d < 3; d++) {
    const double centroid = THIRD * (dj[d] + dk[d]);
    from[0][d] = -centroid;
    from[1][d] = dj[d] - centroid;
    from[2][d] = dk[d] - centroid;
  }
  tally_centroid(i, from[0], on_i);
  tally_centroid(j, from[1], on_j);
  tally_centroid(k, from[2], on_k);
}

void PairUF3Fast::tally_centroid(int owner, const double *from, const double *pull)
{
  double *v = cvatom[owner];
  v[0] += from[0] * pull[0];
  v[1] += from[1] * pull[1];
  v[2] += from[2] * pull[2];
  v[3] += from[0] * pull[1];
  v[4] += from[0] * pull[2];
  v[5] += from[1] * pull[2];
  v[6] += from[1] * pull[0];
  v[7] += from[2] * pull[0];
  v[8] += from[2] * pull[1];
}
