// SPDX-License-Identifier: GPL-2.0-only
// LAMMPS pair style uf3/fast: the energies of pair_style uf3, from compiled polynomial blocks.

#ifndef HOPECHO_PAIR_UF3_FAST_H
#define HOPECHO_PAIR_UF3_FAST_H

#include "pair.h"

#include "bins.h"
#include "potential.h"

#include <memory>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class PairUF3Fast : public Pair {
 public:
  explicit PairUF3Fast(class LAMMPS *);
  ~PairUF3Fast() override;
  void compute(int, int) override;
  void settings(int, char **) override;
  void coeff(int, char **) override;
  void init_style() override;
  double init_one(int, int) override;
  double memory_usage() override;

 private:
  // Neighbours of every centre by element, in kernel.h's form.
  struct Lists {
    std::vector<int> run, index;
    void clear();
  };

  bool three_body = true;
  std::string isa;
  const hopecho::Kernel *kernel = nullptr;
  std::unique_ptr<hopecho::Potential> potential;
  std::vector<int> element_of_type;
  // Neighbours of one centre by element: from index[e * room] on.
  struct Sorted {
    std::vector<int> count, index;
    int room;
    void clear(int n_elements, int n);
  };
  struct Limits {
    double pair, triplet;
  };
  Lists pairs, images, triplets;
  std::vector<Limits> limits;
  const int *centres = nullptr;
  int n_centres = 0;
  std::vector<int> own_centres, element, found;
  std::vector<double> squared;
  hopecho::Bins bins;
  std::vector<double> x4, f4, scratch;
  bigint built_at = -1;
  int built_atoms = -1, longest = 0;

  void allocate();
  void choose_kernel();
  std::string read_text(const char *) const;
  void build_lists();
  void set_limits();
  int neighbours_of(int i);
  void classify(int i, int n, Sorted *kinds);
  void append(Lists &, const Sorted &);
  void compute_sums();
  void compute_tallied();
  void tally_pair(int i, int j, const double *d, double r, double weight);
  bool separation(int i, int j, double *d, double &r) const;
  void tally_triplet(int i, int j, int k, const double *dj, const double *dk);
  void tally_centroid(int atom, const double *from_centre, const double *force);
  [[noreturn]] void too_close(int i, int j, double r);
};

}    // namespace LAMMPS_NS

#endif
