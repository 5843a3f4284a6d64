// SPDX-License-Identifier: GPL-2.0-only
// A UF3 potential as polynomials of each knot cell.

#ifndef HOPECHO_POTENTIAL_H
#define HOPECHO_POTENTIAL_H

#include "kernel.h"

#include <memory>
#include <string>
#include <vector>

namespace hopecho {

class Potential {
 public:
  // Parse the text of a `.uf3` file for the given elements; throws std::runtime_error.
  Potential(const std::string &text, const std::vector<std::string> &elements, bool three_body);

  int n_elements() const { return static_cast<int>(elements.size()); }
  const PairTerm &pair(int a, int b) const { return pairs[a * n_elements() + b]; }
  // The neighbours' elements ascend.
  const TripletTerm &triplet(int c, int a, int b) const
  {
    return triplets[(c * n_elements() + a) * n_elements() + b];
  }
  // Largest distance of a neighbour of element a from a centre c in any triplet.
  double reach(int c, int a) const { return three_body ? reaches[c * n_elements() + a] : 0.0; }
  const double *blocks() const { return aligned; }
  const double *cubic(const PairTerm &term, int cell) const { return &cubics[4 * (term.base + cell)]; }
  void fill(Input &) const;
  double bytes() const;

  const bool three_body;

 private:
  struct Spline;
  struct Reader;
  std::vector<std::string> elements;
  std::vector<PairTerm> pairs;
  std::vector<TripletTerm> triplets;
  std::vector<char> pair_known, triplet_known;
  std::vector<double> reaches, reaches_squared;
  std::vector<int> shared, shared_pairs;
  std::vector<double> cubics;
  std::vector<std::unique_ptr<std::vector<double>>> numbers;    // what the terms point to
  std::vector<std::unique_ptr<std::vector<int>>> lookups;
  std::vector<double> pool;
  double *aligned = nullptr;

  int element_of(const std::string &name) const;
  Spline spline_of(const std::vector<double> &knots, bool uniform, const std::string &label);
  void read_block(Reader &reader);
  void read_pair(Reader &reader);
  void read_triplet(Reader &reader);
  void add_blocks(TripletTerm &term, const std::vector<double> &grid, const Spline &ij,
                  const Spline &ik, const Spline &jk);
  void finish();
};

}    // namespace hopecho

#endif
