// SPDX-License-Identifier: GPL-2.0-only

#include "bins.h"

#include <algorithm>
#include <cmath>

namespace hopecho {

namespace {
constexpr int PER_REACH = 2;    // bins along the reach
}

int Bins::place(double coordinate, int axis) const
{
  const double at = (coordinate - low[axis]) * inverse;
  // Also right for what is not a number.
  return at > 0 ? static_cast<int>(std::min(at, count[axis] - 1.0)) : 0;
}

void Bins::fill(const double *const *points, int n, double reach)
{
  double high[3];
  for (int d = 0; d < 3; d++) {
    low[d] = high[d] = n ? points[0][d] : 0.0;
    for (int i = 1; i < n; i++) {
      low[d] = std::min(low[d], points[i][d]);
      high[d] = std::max(high[d], points[i][d]);
    }
  }
  double size = reach / PER_REACH, total;
  do {
    // Atoms far apart must not ask for more bins than memory holds.
    total = 1.0;
    for (int d = 0; d < 3; d++) total *= std::floor((high[d] - low[d]) / size) + 1;
    if (total > 64.0 * n + 4096.0) size *= 2;
  } while (total > 64.0 * n + 4096.0);
  inverse = 1.0 / size;
  span = static_cast<int>(std::ceil(reach * inverse));
  for (int d = 0; d < 3; d++)
    count[d] = static_cast<int>(std::floor((high[d] - low[d]) / size)) + 1;
  start.assign(static_cast<size_t>(total) + 1, 0);
  bin.resize(n);
  for (int i = 0; i < n; i++) {
    const double *p = points[i];
    bin[i] = (place(p[2], 2) * count[1] + place(p[1], 1)) * count[0] + place(p[0], 0);
    start[bin[i] + 1]++;
  }
  for (size_t b = 1; b < start.size(); b++) start[b] += start[b - 1];
  std::vector<int> next(start.begin(), start.end() - 1);
  order.assign(n + 4, 0);
  x.assign(n + 4, 0.0);
  y.assign(n + 4, 0.0);
  z.assign(n + 4, 0.0);
  for (int i = 0; i < n; i++) {
    const int at = next[bin[i]]++;
    order[at] = i;
    x[at] = points[i][0];
    y[at] = points[i][1];
    z[at] = points[i][2];
  }
}

int Bins::within(const Kernel &kernel, const double *point, double limit, std::vector<int> &rows,
                 std::vector<double> &squared) const
{
  const Sorted atoms = {x.data(), y.data(), z.data(), order.data()};
  int from[3], to[3], m = 0;
  for (int d = 0; d < 3; d++) {
    const int at = place(point[d], d);
    from[d] = std::max(0, at - span);
    to[d] = std::min(count[d] - 1, at + span);
  }
  for (int c = from[2]; c <= to[2]; c++)
    for (int b = from[1]; b <= to[1]; b++) {
      const int row = (c * count[1] + b) * count[0];
      const int begin = start[row + from[0]], end = start[row + to[0] + 1];
      if (rows.size() < static_cast<size_t>(m + end - begin + 8)) {
        rows.resize(2 * (m + end - begin + 8));
        squared.resize(rows.size());
      }
      m += kernel.within(atoms, begin, end, point, limit, &rows[m], &squared[m]);
    }
  return m;
}

}    // namespace hopecho
