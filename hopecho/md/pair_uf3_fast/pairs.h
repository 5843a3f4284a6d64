// SPDX-License-Identifier: GPL-2.0-only
// Two-body sums. Part of kernel.cpp.

#ifndef HOPECHO_PAIRS_H
#define HOPECHO_PAIRS_H

#include "centre.h"

namespace hopecho {
namespace {

// phi2 between a centre and neighbours begin to end, each counted `weight` times. `cell` holds the
// base of each neighbour's cubics.
void sum_pairs(const Input &in, Output &out, Sums &sums, const Neighbours &near, const Grid &grid,
               int i, int begin, int end, double weight, Lanes force[3])
{
  const Lanes first = all(grid.first > 1e-12 ? grid.first : 1e-12), none = all(0.0);
  const Lanes stop = all(static_cast<double>(end)), weights = all(weight);
  Lanes lane = all(static_cast<double>(begin)) + Lanes{0, 1, 2, 3};
  Sums mine = sums;
  Lanes x = force[0], y = force[1], z = force[2];
  for (int p = begin; p < end; p += 4, lane += 4.0) {
    Lanes r, inverse, w;
    const Lanes dx = load(near.dx + p), dy = load(near.dy + p), dz = load(near.dz + p);
    roots(load(near.r + p), r, inverse);
    const Lanes counted = lane < stop ? weights : none;
    // Not "r < first": two atoms in one place give a root that is not a number.
    if (__builtin_expect(any(lane < stop && !(r >= first)), 0)) {
      for (int q = p; q < p + 4 && q < end; q++)
        if (!(r[q - p] >= first[0])) {
          out.bad_i = i;
          out.bad_j = near.index[q];
        }
      return;
    }
    const Ints cell = cells_of(grid, r, w) + load(near.cell + p);
    Lanes a = load(in.cubics + 4 * cell[0]), b = load(in.cubics + 4 * cell[1]);
    Lanes c = load(in.cubics + 4 * cell[2]), d = load(in.cubics + 4 * cell[3]);
    transpose(a, b, c, d);
    const Lanes two = d * w + c, one = two * w + b;
    mine.energy += counted * (one * w + a);
    const Lanes slope = ((d * w + two) * w + one) * inverse * counted;
    const Lanes fx = -slope * dx, fy = -slope * dy, fz = -slope * dz;
    add_virial(mine, dx, dy, dz, fx, fy, fz);
    x -= fx;
    y -= fy;
    z -= fz;
    scatter(out.f, near.index + p, fx, fy, fz);
  }
  sums = mine;
  force[0] = x;
  force[1] = y;
  force[2] = z;
}

// phi2 between a centre and all its neighbours in a list.
void all_pairs(const Input &in, Output &out, Sums &sums, const Neighbours &near, int ii,
               const NeighbourRuns &lists, double weight, Lanes force[3], int *run)
{
  const int n = in.n_elements, i = in.centre[ii];
  const int *edges = lists.run + ii * (n + 1);
  const PairTerm *terms = in.pair + in.element[i] * n;
  int m = 0;
  for (int a = 0; a < n; a++) {
    run[a] = m;
    m += gather(in, in.x + 4 * i, lists.index + edges[a], edges[a + 1] - edges[a],
                terms[a].cut * terms[a].cut, near.dx + m, near.dy + m, near.dz + m, near.r + m,
                near.index + m);
    const Ints base = all(terms[a].base);
    for (int p = run[a]; p < m; p += 4) store(near.cell + p, base);
  }
  run[n] = m;
  for (int p = m; p < m + 4; p++) {
    near.dx[p] = near.dy[p] = near.dz[p] = 0.0;
    near.r[p] = terms->grid.last * terms->grid.last;
    near.index[p] = in.n_atoms;
    near.cell[p] = terms->base;
  }
  if (in.shared_pairs[in.element[i]])
    sum_pairs(in, out, sums, near, terms->grid, i, 0, m, weight, force);
  else
    for (int a = 0; a < n; a++)
      sum_pairs(in, out, sums, near, terms[a].grid, i, run[a], run[a + 1], weight, force);
}

}    // namespace
}    // namespace hopecho

#endif
