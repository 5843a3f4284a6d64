// SPDX-License-Identifier: GPL-2.0-only
// Three-body sums. Part of kernel.cpp.

#ifndef HOPECHO_TRIPLETS_H
#define HOPECHO_TRIPLETS_H

#include "centre.h"

namespace hopecho {
namespace {

// Third sides of the triplets of one centre.
struct Sides {
  double *u, *inverse;    // r above the lower breakpoint of its cell; 1 / r
  int *block;             // 0 where there is no triplet
};

HOPECHO_INLINE Sides skip(const Sides &sides, int n)
{
  return {sides.u + n, sides.inverse + n, sides.block + n};
}

// One block of coefficients with the first two axes contracted: the value and the derivatives on
// those axes, still polynomials of the third (its powers are the lanes).
HOPECHO_INLINE void contract(const double *block, Lanes s, Lanes t, Lanes &value, Lanes &on_s,
                             Lanes &on_t)
{
  Lanes p[4], q[4];
  const double *c = static_cast<const double *>(__builtin_assume_aligned(block, 64));
  for (int m = 0; m < 4; m++) {
    const Lanes c3 = *reinterpret_cast<const Lanes *>(c + 48 + 4 * m);
    const Lanes two = c3 * s + *reinterpret_cast<const Lanes *>(c + 32 + 4 * m);
    const Lanes one = two * s + *reinterpret_cast<const Lanes *>(c + 16 + 4 * m);
    p[m] = one * s + *reinterpret_cast<const Lanes *>(c + 4 * m);
    q[m] = (c3 * s + two) * s + one;
  }
  const Lanes two = p[3] * t + p[2], one = two * t + p[1];
  value = one * t + p[0];
  on_t = (p[3] * t + two) * t + one;
  on_s = ((q[3] * t + q[2]) * t + q[1]) * t + q[0];
}

HOPECHO_INLINE Lanes horner(Lanes a, Lanes b, Lanes c, Lanes d, Lanes u)
{
  return ((d * u + c) * u + b) * u + a;
}

// Third sides of the triplets of neighbour j with k and the next three, of which those from `end`
// on do not count. All sides are found before the first is used, so that no sum waits for an address.
HOPECHO_INLINE void find_four(const Neighbours &near, const int *offsets, const Sides &sides, int at,
                              const Grid &jk, int j, int k, int end)
{
  const Lanes dx = load(near.dx + k) - all(near.dx[j]), dy = load(near.dy + k) - all(near.dy[j]);
  const Lanes dz = load(near.dz + k) - all(near.dz[j]);
  Lanes r, inverse, u;
  roots(dx * dx + dy * dy + dz * dz, r, inverse);
  const Ints cell = cells_of(jk, r, u);
  const Ints offset = load(offsets + k), start = all(near.offset_first[j]);
  const Ints lane = all(k) + Ints{0, 1, 2, 3};
  const Ints far = __builtin_convertvector(r >= all(jk.first), Ints);
  // A negative offset wins: both are far smaller than 2^30.
  const Ints known = (offset | start) >= 0;
  store(sides.block + at, (known && lane < end && far != 0) ? offset + start + cell : all(0));
  store(sides.u + at, u);
  store(sides.inverse + at, inverse);
}

// What neighbour j brings to its triplets, and gets from them.
struct Row {
  Lanes x, y, z, s;
  Lanes energy, g, fx, fy, fz;
};

// Sum the triplets of neighbour j with k and the next, four or fewer.
HOPECHO_INLINE void add_four(const double *blocks, const Neighbours &near, const Sides &sides, int at,
                             int k, int count, Row &row)
{
  const Lanes none = all(0.0);
  Lanes v0, v1 = none, v2 = none, v3 = none, a0, a1 = none, a2 = none, a3 = none;
  Lanes b0, b1 = none, b2 = none, b3 = none;
  const int *block = sides.block + at;
  contract(blocks + 64L * block[0], row.s, all(near.t[k]), v0, a0, b0);
  if (count > 1) contract(blocks + 64L * block[1], row.s, all(near.t[k + 1]), v1, a1, b1);
  if (count > 2) contract(blocks + 64L * block[2], row.s, all(near.t[k + 2]), v2, a2, b2);
  if (count > 3) contract(blocks + 64L * block[3], row.s, all(near.t[k + 3]), v3, a3, b3);
  transpose(v0, v1, v2, v3);
  transpose(a0, a1, a2, a3);
  transpose(b0, b1, b2, b3);
  const Lanes u = load(sides.u + at);
  const Lanes two = v3 * u + v2, one = two * u + v1;
  row.energy += one * u + v0;
  const Lanes pull = ((v3 * u + two) * u + one) * load(sides.inverse + at);
  row.g += horner(a0, a1, a2, a3, u);
  store(near.g + k, load(near.g + k) + horner(b0, b1, b2, b3, u));
  const Lanes px = pull * (load(near.dx + k) - row.x);
  const Lanes py = pull * (load(near.dy + k) - row.y);
  const Lanes pz = pull * (load(near.dz + k) - row.z);
  row.fx += px;
  row.fy += py;
  row.fz += pz;
  store(near.fx + k, load(near.fx + k) - px);
  store(near.fy + k, load(near.fy + k) - py);
  store(near.fz + k, load(near.fz + k) - pz);
}

// Sum the triplets of neighbour j with neighbours begin to end.
HOPECHO_INLINE void sum_row(const Input &in, Sums &sums, const Neighbours &near, const Sides &sides,
                            int j, int begin, int end)
{
  const Lanes none = all(0.0);
  Row row = {all(near.dx[j]), all(near.dy[j]), all(near.dz[j]), all(near.t_first[j]),
             none, none, none, none, none};
  int k = begin, at = 0;
  for (; k + 3 < end; k += 4, at += 4) add_four(in.blocks, near, sides, at, k, 4, row);
  if (k + 3 == end) add_four(in.blocks, near, sides, at, k, 3, row);
  if (k + 2 == end) add_four(in.blocks, near, sides, at, k, 2, row);
  if (k + 1 == end) add_four(in.blocks, near, sides, at, k, 1, row);
  sums.energy += row.energy;
  transpose(row.g, row.fx, row.fy, row.fz);
  double *own = near.own + 4 * j;
  store(own, load(own) + ((row.g + row.fx) + (row.fy + row.fz)));
}

// Cells of neighbours begin to end on a grid; -1 where the triplet has no value.
HOPECHO_INLINE void place(const Grid &grid, double cut, const Neighbours &near, int begin, int end,
                          double *t, int *cell)
{
  for (int p = begin; p < end; p += 4) {
    Lanes above;
    const Lanes r = load(near.r + p);
    const Ints c = cells_of(grid, r, above);
    const Ints inside = __builtin_convertvector(r >= grid.first, Ints) &
        __builtin_convertvector(r < cut, Ints);
    store(t + p, above);
    store(cell + p, inside != 0 ? c : all(-1));
  }
}

// Triplets of a centre whose terms all have the same grids.
void shared_triplets(const Input &in, Sums &sums, const Neighbours &near, const Sides &sides, int c,
                     const int *run)
{
  const int n = in.n_elements, last = near.n;
  const TripletTerm *terms = in.triplet + c * n * n;
  const int step = terms->jk.cells, stride = terms->ik.cells * step;
  place(terms->ij, terms->cut, near, 0, last, near.t, near.cell);
  for (int j = 0; j < last; j += 4) store(near.offset_first + j, load(near.cell + j) * stride);
  for (int a = 0; a < n; a++) {
    int *const offset = near.offset + a * near.size;
    for (int b = a; b < n; b++) {
      const int base = static_cast<int>(terms[a * n + b].base);
      for (int k = run[b]; k < run[b + 1]; k += 4) {
        const Ints cell = load(near.cell + k);
        store(offset + k, cell >= 0 ? cell * step + base : all(-1));
      }
    }
    for (int j = run[a]; j < run[a + 1]; j++) near.row[j] = a * near.size;
  }
  // One loop over all rows: leaving a short loop for each costs a wrong guess of the processor.
  for (int j = 0, k = 1, at = 0; j + 1 < last; at += 4) {
    find_four(near, near.offset + near.row[j], sides, at, terms->jk, j, k, last);
    k += 4;
    const int done = k >= last;
    j += done;
    k = done ? j + 1 : k;
  }
  for (int j = 0, at = 0; j + 1 < last; j++) {
    sum_row(in, sums, near, skip(sides, at), j, j + 1, last);
    at += (last - j + 2) / 4 * 4;
  }
}

// Triplets of a centre whose terms differ in their grids.
void general_triplets(const Input &in, Sums &sums, const Neighbours &near, const Sides &sides, int c,
                      const int *run)
{
  const int n = in.n_elements;
  for (int a = 0; a < n; a++)
    for (int b = a; b < n; b++) {
      const TripletTerm &term = in.triplet[(c * n + a) * n + b];
      const int step = term.jk.cells, stride = term.ik.cells * step;
      const int base = static_cast<int>(term.base);
      place(term.ij, term.cut, near, run[a], run[a + 1], near.t_first, near.offset_first);
      place(term.ik, term.cut, near, run[b], run[b + 1], near.t, near.offset);
      for (int j = run[a]; j < run[a + 1]; j++) near.offset_first[j] *= stride;
      for (int k = run[b]; k < run[b + 1]; k++)
        near.offset[k] = near.offset[k] < 0 ? -1 : base + near.offset[k] * step;
      for (int j = run[a]; j < run[a + 1]; j++)
        if (near.offset_first[j] >= 0) {
          const int begin = a == b ? j + 1 : run[b];
          for (int k = begin, at = 0; k < run[b + 1]; k += 4, at += 4)
            find_four(near, near.offset, sides, at, term.jk, j, k, run[b + 1]);
          sum_row(in, sums, near, sides, j, begin, run[b + 1]);
        }
    }
}

// Collect the neighbours of a centre within reach of its triplets; fill run.
int collect(const Input &in, Neighbours &near, int ii, int *run)
{
  const int n = in.n_elements, i = in.centre[ii], c = in.element[i];
  const int *edges = in.triplets.run + ii * (n + 1);
  int m = 0;
  for (int a = 0; a < n; a++) {
    run[a] = m;
    m += gather(in, in.x + 4 * i, in.triplets.index + edges[a], edges[a + 1] - edges[a],
                in.reach_squared[c * n + a], near.dx + m, near.dy + m, near.dz + m, near.r + m,
                near.index + m);
  }
  run[n] = m;
  for (int p = m; p < m + SCRATCH_PAD / 2; p++) {
    // Out of reach of all others, and no two of them in one place.
    near.dx[p] = near.dy[p] = near.dz[p] = 1e4 + p;
    near.r[p] = 1e8;
    near.index[p] = in.n_atoms;
  }
  for (int p = 0; p < m + 4; p += 4) {
    Lanes r, inverse;
    roots(load(near.r + p), r, inverse);
    store(near.r + p, r);
    store(near.inverse + p, inverse);
    const Lanes none = all(0.0);
    store(near.g + p, none);
    store(near.fx + p, none);
    store(near.fy + p, none);
    store(near.fz + p, none);
    store(near.t + p, none);
    for (int q = 4 * p; q < 4 * p + 16; q += 4) store(near.own + q, none);
  }
  near.n = m;
  return m;
}

// Forces of a centre's triplets, from derivatives to atoms.
void distribute(Output &out, Sums &sums, const Neighbours &near, Lanes force[3])
{
  for (int p = 0; p < near.n; p += 4) {
    const Lanes dx = load(near.dx + p), dy = load(near.dy + p), dz = load(near.dz + p);
    const double *own = near.own + 4 * p;
    Lanes g = load(own), x = load(own + 4), y = load(own + 8), z = load(own + 12);
    transpose(g, x, y, z);
    const Lanes pull = (load(near.g + p) + g) * load(near.inverse + p);
    const Lanes fx = load(near.fx + p) + x - pull * dx;
    const Lanes fy = load(near.fy + p) + y - pull * dy;
    const Lanes fz = load(near.fz + p) + z - pull * dz;
    add_virial(sums, dx, dy, dz, fx, fy, fz);
    force[0] -= fx;
    force[1] -= fy;
    force[2] -= fz;
    scatter(out.f, near.index + p, fx, fy, fz);
  }
}

}    // namespace
}    // namespace hopecho

#endif
