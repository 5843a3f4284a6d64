// SPDX-License-Identifier: GPL-2.0-only
// One centre and its neighbours: distances, cells, sums. Part of kernel.cpp.

#ifndef HOPECHO_CENTRE_H
#define HOPECHO_CENTRE_H

#include "kernel.h"
#include "lanes.h"

namespace hopecho {
namespace {

// Active neighbours of one centre, side by side, sorted by element.
struct Neighbours {
  int n;
  double *dx, *dy, *dz, *r, *inverse;    // from the centre
  double *t;                             // r above the lower breakpoint of its cell
  double *t_first;                       // the same on the axis of the first neighbour
  double *g;                             // dE/dr
  double *fx, *fy, *fz;                  // force along the third sides
  double *own;                           // g, fx, fy, fz in rows: what a neighbour got as the first
  int *index;                            // row of x
  int *cell;
  int *offset, *offset_first;            // block offsets; negative where phi3 has no value
  int *row;                              // where the offsets for the element of j begin
  int size;                              // of these arrays
};

struct Sums {
  Lanes energy, xx, yy, zz, xy, xz, yz;
};

HOPECHO_INLINE void add_virial(Sums &sums, Lanes dx, Lanes dy, Lanes dz, Lanes fx, Lanes fy,
                               Lanes fz)
{
  sums.xx += dx * fx;
  sums.yy += dy * fy;
  sums.zz += dz * fz;
  sums.xy += dx * fy;
  sums.xz += dx * fz;
  sums.yz += dy * fz;
}

// Add the columns fx, fy, fz to the rows of f.
HOPECHO_INLINE void scatter(double *f, const int *rows, Lanes fx, Lanes fy, Lanes fz)
{
  Lanes rest = all(0.0);
  transpose(fx, fy, fz, rest);
  store(f + 4 * rows[0], load(f + 4 * rows[0]) + fx);
  store(f + 4 * rows[1], load(f + 4 * rows[1]) + fy);
  store(f + 4 * rows[2], load(f + 4 * rows[2]) + fz);
  store(f + 4 * rows[3], load(f + 4 * rows[3]) + rest);
}

// Cells and distances above their lower breakpoints.
HOPECHO_INLINE Ints cells_of(const Grid &grid, Lanes r, Lanes &above)
{
  Ints cell;
  if (grid.uniform) {
    const Ints last = all(grid.cells - 1);
    cell = truncate((r - grid.first) * grid.inverse);
    cell = cell < last ? cell : last;
    cell = cell > 0 ? cell : all(0);    // lanes that do not count may lie anywhere
    above = r - (to_double(cell) * grid.width + grid.first);
  } else {
    for (int lane = 0; lane < 4; lane++) {
      const double x = r[lane] < grid.first ? grid.first : r[lane] < grid.last ? r[lane] : grid.last;
      const int c = cell_of(grid, x);
      cell[lane] = c;
      above[lane] = r[lane] - grid.knots[c];
    }
  }
  return cell;
}

// Copy what lies within a distance of the centre to the end of the lists.
HOPECHO_INLINE int gather(const Input &in, const double *centre, const int *index, int n,
                          double limit, double *dx, double *dy, double *dz, double *squared,
                          int *kept_index)
{
  const Lanes x = all(centre[0]), y = all(centre[1]), z = all(centre[2]), most = all(limit);
  int m = 0;
  for (int p = 0; p < n; p += 4) {
    const int *rows = index + p;
    Lanes a = load(in.x + 4 * rows[0]), b = load(in.x + 4 * rows[1]);
    Lanes c = load(in.x + 4 * rows[2]), d = load(in.x + 4 * rows[3]);
    transpose(a, b, c, d);
    a -= x;
    b -= y;
    c -= z;
    const Lanes r2 = a * a + b * b + c * c;
    const Kept kept = below(r2, most);
    pack(dx + m, a, kept);
    pack(dy + m, b, kept);
    pack(dz + m, c, kept);
    pack(squared + m, r2, kept);
    pack(kept_index + m, load(rows), kept);
    m += count(kept);
  }
  return m;
}

}    // namespace
}    // namespace hopecho

#endif
