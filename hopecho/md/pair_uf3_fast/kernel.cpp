// SPDX-License-Identifier: GPL-2.0-only
// Energy, forces and virial of all centres. Compiled once for each instruction set, with
// HOPECHO_KERNEL naming the result.

#include "pairs.h"
#include "triplets.h"

namespace hopecho {
namespace {

void sum_centres(const Input &in, Output &out)
{
  const int n = in.n_elements, size = in.longest + SCRATCH_PAD;
  const int rounded = (size + 7) / 8 * 8;
  double *at = in.scratch;
  const auto next = [&at, rounded]() {
    double *mine = at;
    at += rounded;
    return mine;
  };
  Neighbours near;
  near.dx = next(), near.dy = next(), near.dz = next(), near.r = next(), near.inverse = next();
  near.t = next(), near.t_first = next(), near.g = next();
  near.fx = next(), near.fy = next(), near.fz = next();
  near.own = next(), next(), next(), next();
  near.index = reinterpret_cast<int *>(next()), near.cell = reinterpret_cast<int *>(next());
  near.row = reinterpret_cast<int *>(next());
  near.size = rounded;
  near.offset = reinterpret_cast<int *>(at);
  at += n * rounded;
  near.offset_first = reinterpret_cast<int *>(next());
  int *const run = reinterpret_cast<int *>(next());
  const int most = rounded * (rounded + 8) / 2;
  const Sides sides = {at, at + most, reinterpret_cast<int *>(at + 2 * most)};
  double *const t_first = near.t_first;
  const Lanes none = all(0.0);
  Sums sums = {none, none, none, none, none, none, none};
  for (int ii = 0; ii < in.n_centres; ii++) {
    const int i = in.centre[ii], c = in.element[i];
    Lanes force[3] = {none, none, none};
    const int *self = in.images.run + ii * (n + 1);
    all_pairs(in, out, sums, near, ii, in.pairs, 2.0, force, run);
    if (self[n] > self[0]) all_pairs(in, out, sums, near, ii, in.images, 1.0, force, run);
    if (in.triplets.run && collect(in, near, ii, run) > 1) {
      near.t_first = in.shared[c] ? near.t : t_first;
      in.shared[c] ? shared_triplets(in, sums, near, sides, c, run)
                   : general_triplets(in, sums, near, sides, c, run);
      distribute(out, sums, near, force);
    }
    for (int d = 0; d < 3; d++) out.f[4 * i + d] += sum(force[d]);
    if (out.bad_i >= 0) return;
  }
  out.energy += sum(sums.energy);
  const Lanes virial[6] = {sums.xx, sums.yy, sums.zz, sums.xy, sums.xz, sums.yz};
  for (int d = 0; d < 6; d++) out.virial[d] += sum(virial[d]);
}

int find_within(const Sorted &atoms, int begin, int end, const double *point, double limit,
                int *rows, double *squared)
{
  const Lanes x = all(point[0]), y = all(point[1]), z = all(point[2]), most = all(limit);
  const Ints stop = all(end);
  int m = 0;
  for (int p = begin; p < end; p += 4) {
    const Lanes dx = load(atoms.x + p) - x, dy = load(atoms.y + p) - y, dz = load(atoms.z + p) - z;
    const Mask mine = __builtin_convertvector(all(p) + Ints{0, 1, 2, 3} < stop, Mask);
    const Lanes r2 = dx * dx + dy * dy + dz * dz;
    const Kept kept = below(mine ? r2 : most, most);
    pack(squared + m, r2, kept);
    pack(rows + m, load(atoms.row + p), kept);
    m += count(kept);
  }
  return m;
}

}    // namespace

extern const Kernel HOPECHO_KERNEL = {sum_centres, find_within};

}    // namespace hopecho
