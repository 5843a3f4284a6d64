// SPDX-License-Identifier: GPL-2.0-only
// Atoms and ghosts sorted into bins, for neighbour lists.

#ifndef HOPECHO_BINS_H
#define HOPECHO_BINS_H

#include "kernel.h"

#include <vector>

namespace hopecho {

class Bins {
 public:
  // Sort n points (rows of x) so that `within` finds what lies closer than `reach`.
  void fill(const double *const *x, int n, double reach);
  // Fill rows and squared distances of all points closer than sqrt(limit) to a point, which is one
  // of them; returns how many.
  int within(const Kernel &kernel, const double *point, double limit, std::vector<int> &rows,
             std::vector<double> &squared) const;

 private:
  double low[3], inverse;
  int count[3], span;
  std::vector<int> start, order, bin;
  std::vector<double> x, y, z;
  int place(double coordinate, int axis) const;
};

}    // namespace hopecho

#endif
