// SPDX-License-Identifier: GPL-2.0-only
// What the pair style hands to the compiled kernels: plain arrays, no LAMMPS and no C++ library, so
// that code compiled for one instruction set cannot leak into another through inline functions.

#ifndef HOPECHO_KERNEL_H
#define HOPECHO_KERNEL_H

#include <cstdint>

namespace hopecho {

// Breakpoints of a spline. `cells + 1` of them; cell c covers [knots[c], knots[c + 1]).
struct Grid {
  double first, last;
  double width, inverse;    // of every cell when uniform
  double lookup_inverse;    // bins of `lookup`, when not uniform
  const double *knots;
  const int *lookup;    // first cell that overlaps a bin
  int cells, bins, uniform;
};

// phi2 of two elements: in cell c, sum_n cubics[4 (base + c) + n] (r - knots[c])^n.
struct PairTerm {
  Grid grid;
  double cut;
  int base;
};

// phi3 of a centre and two elements: blocks of 64 monomial coefficients [l][m][n] of the distances
// from the lower breakpoints of cell (a, b, c), at block `base + (a * ik.cells + b) * jk.cells + c`.
struct TripletTerm {
  Grid ij, ik, jk;
  double cut;
  std::int64_t base;
};

// Neighbours of one centre, sorted by element; every run is padded with the index of the last row
// of `x`, a place that is out of reach. run[e] to run[e + 1] is element e.
struct NeighbourRuns {
  const int *run;    // (n_centres, n_elements + 1)
  const int *index;
};

struct Input {
  int n_elements, n_centres, n_atoms;
  const int *centre;     // (n_centres,), rows of x
  const int *element;    // (n_atoms,)
  const double *x;       // (n_atoms + 1, 4), Angstrom; the last row is out of reach
  NeighbourRuns pairs;       // each unordered pair once
  NeighbourRuns images;      // an atom and its own image: each of the two directions
  NeighbourRuns triplets;    // all neighbours within reach of a triplet
  const PairTerm *pair;           // (n_elements, n_elements)
  const TripletTerm *triplet;     // (n_elements, n_elements, n_elements), [centre][a <= b]
  const double *reach_squared;    // (n_elements, n_elements), of a triplet's neighbours
  const int *shared_pairs;        // (n_elements,), 1 where a centre's pairs share their grid
  const int *shared;              // (n_elements,), 1 where a centre's triplets share their grids
  const double *cubics;           // 4 doubles each
  const double *blocks;           // 64 doubles each, aligned to 64 bytes; block 0 is zero
  double *scratch;                // scratch_size doubles, aligned to 64 bytes
  int longest;                    // longest run list of `triplets`
};

struct Output {
  double *f;    // (n_atoms + 1, 4), eV/Angstrom, added to
  double energy;
  double virial[6];    // xx yy zz xy xz yz
  int bad_i, bad_j;    // rows of a pair below its first knot, or -1
};

constexpr int SCRATCH_PAD = 16;

// Doubles of scratch for lists of up to `longest` neighbours of one centre.
inline __attribute__((always_inline)) std::int64_t scratch_size(int longest, int n_elements)
{
  const std::int64_t row = longest + SCRATCH_PAD + 8;
  return (24 + n_elements) * row + 3 * row * (row + 8) / 2;
}

// Atoms in the order of their bins; rows of bins along x are contiguous. Padded by four.
struct Sorted {
  const double *x, *y, *z;
  const int *row;
};

// One instruction set's functions.
struct Kernel {
  void (*sums)(const Input &, Output &);
  // Rows of atoms from begin to end that lie within sqrt(limit) of a point, and squared distances;
  // both have room for four more.
  int (*within)(const Sorted &, int begin, int end, const double *point, double limit, int *rows,
                double *squared);
};

extern const Kernel kernel_portable, kernel_avx2, kernel_avx512;

// Cell of r, at most the last one.
inline __attribute__((always_inline)) int cell_of(const Grid &grid, double r)
{
  const double x = r - grid.first;
  int cell;
  if (grid.uniform) {
    cell = static_cast<int>(x * grid.inverse);
    return cell < grid.cells ? cell : grid.cells - 1;
  }
  int bin = static_cast<int>(x * grid.lookup_inverse);
  cell = grid.lookup[bin < grid.bins ? bin : grid.bins - 1];
  while (cell + 1 < grid.cells && r >= grid.knots[cell + 1]) cell++;
  return cell;
}

}    // namespace hopecho

#endif
