// SPDX-License-Identifier: GPL-2.0-only

#include "potential.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace hopecho {

namespace {

using Cubic = std::array<double, 4>;    // coefficients of 1, w, w^2, w^3

[[noreturn]] void fail(const std::string &what)
{
  throw std::runtime_error("pair_style uf3/fast: " + what);
}

// Polynomials, in w = x - knots[cell], of the four cubic B-splines that are not zero in a cell.
// Source: de Boor, A Practical Guide to Splines (2001), ch. IX eq. (14), carried out on polynomials.
std::array<Cubic, 4> basis_of_cell(const std::vector<double> &knots, int cell)
{
  std::vector<Cubic> basis(5, Cubic{});    // entry b is spline cell - 3 + b; entry 4 stays zero
  basis[3][0] = 1.0;
  const double origin = knots[cell];
  for (int degree = 1; degree < 4; degree++) {
    for (int b = 3 - degree; b < 4; b++) {
      const int i = cell - 3 + b;
      Cubic next{};
      const double rise = knots[i + degree] - knots[i];
      const double fall = knots[i + degree + 1] - knots[i + 1];
      for (int p = 0; p < degree; p++) {
        if (rise > 0 && b > 3 - degree) {
          next[p] += basis[b][p] * (origin - knots[i]) / rise;
          next[p + 1] += basis[b][p] / rise;
        }
        if (fall > 0 && b < 3) {
          next[p] += basis[b + 1][p] * (knots[i + degree + 1] - origin) / fall;
          next[p + 1] -= basis[b + 1][p] / fall;
        }
      }
      basis[b] = next;
    }
  }
  return {basis[0], basis[1], basis[2], basis[3]};
}

}    // namespace

// A knot vector: its cells and the splines in each.
struct Potential::Spline {
  Grid grid;
  std::vector<int> start;                      // first coefficient of each cell
  std::vector<std::array<Cubic, 4>> basis;    // of each cell
};

// Lines of a file as words, with the place for messages.
struct Potential::Reader {
  std::istringstream stream;
  std::string label = "?";
  explicit Reader(const std::string &text) : stream(text) {}

  std::vector<std::string> words()
  {
    std::string line, word;
    std::vector<std::string> found;
    while (found.empty()) {
      if (!std::getline(stream, line)) fail("block " + label + " ends too early");
      std::istringstream split(line);
      while (split >> word) found.push_back(word);
    }
    return found;
  }

  std::vector<double> numbers(size_t count)
  {
    std::string line;
    do {
      if (!std::getline(stream, line)) fail("block " + label + " ends too early");
    } while (line.find_first_not_of(" \t\r") == std::string::npos);
    std::vector<double> found;
    const char *at = line.c_str();
    char *end = nullptr;
    for (double value = std::strtod(at, &end); end != at; value = std::strtod(at, &end)) {
      if (!std::isfinite(value)) fail("block " + label + " holds a number that is not finite");
      found.push_back(value);
      at = end;
    }
    if (std::string(at).find_first_not_of(" \t\r") != std::string::npos)
      fail("block " + label + " holds '" + at + "' in place of a number");
    if (found.size() != count)
      fail("block " + label + ": expected " + std::to_string(count) + " numbers on a line, found " +
           std::to_string(found.size()));
    return found;
  }
};

Potential::Potential(const std::string &text, const std::vector<std::string> &names, bool three) :
    three_body(three), elements(names)
{
  const size_t n = names.size();
  pairs.resize(n * n);
  pair_known.assign(n * n, 0);
  triplets.resize(n * n * n);
  triplet_known.assign(n * n * n, 0);
  pool.assign(64, 0.0);    // block 0: what contributes nothing
  Reader reader(text);
  std::string line;
  while (std::getline(reader.stream, line))
    if (line.find("#UF3 POT") != std::string::npos) {
      if (line.find("UNITS:") == std::string::npos) fail("a block's header has no 'UNITS:'");
      read_block(reader);
    }
  finish();
}

int Potential::element_of(const std::string &name) const
{
  const auto found = std::find(elements.begin(), elements.end(), name);
  return found == elements.end() ? -1 : static_cast<int>(found - elements.begin());
}

void Potential::read_block(Reader &reader)
{
  const auto words = reader.words();
  const size_t bodies = words[0] == "2B" ? 2 : words[0] == "3B" ? 3 : 0;
  if (!bodies) fail("expected '2B' or '3B' after a header, found '" + words[0] + "'");
  if (words.size() != bodies + 4) fail("expected elements, trims and knot type after " + words[0]);
  reader.label = words[0];
  for (size_t i = 1; i <= bodies; i++) {
    if (element_of(words[i]) < 0) return;    // an element of another material
    reader.label += " " + words[i];
  }
  if (bodies == 3 && !three_body) return;
  if (words[bodies + 1] != "0" || words[bodies + 2] != "3")
    fail("block " + reader.label + " must have leading trim 0 and trailing trim 3");
  if (words[bodies + 3] != "uk" && words[bodies + 3] != "nk")
    fail("block " + reader.label + ": the knot type is 'uk' or 'nk', not '" + words.back() + "'");
  reader.label += " " + words[bodies + 3];
  bodies == 2 ? read_pair(reader) : read_triplet(reader);
}

Potential::Spline Potential::spline_of(const std::vector<double> &knots, bool uniform,
                                       const std::string &label)
{
  const int n = static_cast<int>(knots.size());
  if (n < 8) fail("block " + label + " has fewer than 8 knots");
  for (int i = 1; i < n; i++)
    if (knots[i] < knots[i - 1]) fail("block " + label + ": the knots do not ascend");
  if (knots[3] != knots[0] || knots[n - 4] != knots[n - 1] || !(knots[n - 4] > knots[3]))
    fail("block " + label + ": the first and the last knot must stand four times");
  Spline spline;
  numbers.push_back(std::make_unique<std::vector<double>>());
  lookups.push_back(std::make_unique<std::vector<int>>());
  auto &points = *numbers.back();
  for (int p = 3; p < n - 4; p++) {
    if (!(knots[p + 1] > knots[p])) continue;
    points.push_back(knots[p]);
    spline.start.push_back(p - 3);
    spline.basis.push_back(basis_of_cell(knots, p));
  }
  points.push_back(knots[n - 4]);
  Grid &grid = spline.grid;
  grid.cells = static_cast<int>(spline.start.size());
  grid.first = points.front();
  grid.last = points.back();
  grid.width = (grid.last - grid.first) / grid.cells;
  grid.inverse = 1.0 / grid.width;
  grid.uniform = uniform;
  double smallest = grid.last - grid.first;
  for (int c = 0; c < grid.cells; c++) {
    smallest = std::min(smallest, points[c + 1] - points[c]);
    if (uniform && std::fabs(points[c] - grid.first - c * grid.width) > 1e-6 * grid.width)
      fail("block " + label + " says 'uk' but its knots are not uniform");
  }
  if (uniform && grid.cells != n - 7) fail("block " + label + " says 'uk' but repeats a knot");
  grid.bins = static_cast<int>(std::min(4096.0, std::ceil((grid.last - grid.first) / smallest)));
  grid.lookup_inverse = grid.bins / (grid.last - grid.first);
  for (int bin = 0, c = 0; bin < grid.bins; bin++) {
    // The margin keeps a rounded bin number from starting beyond its cell.
    const double low = grid.first + (bin - 1e-6) / grid.lookup_inverse;
    while (c + 1 < grid.cells && points[c + 1] <= low) c++;
    lookups.back()->push_back(c);
  }
  grid.knots = points.data();
  grid.lookup = lookups.back()->data();
  return spline;
}

void Potential::read_pair(Reader &reader)
{
  std::istringstream names(reader.label);
  std::string body, first, second, kind;
  names >> body >> first >> second >> kind;
  const auto head = reader.numbers(2);
  const auto knots = reader.numbers(static_cast<size_t>(head[1]));
  const auto count = reader.numbers(1);
  const auto values = reader.numbers(static_cast<size_t>(count[0]));
  if (knots.size() != values.size() + 4)
    fail("block " + reader.label + " needs four more knots than coefficients");
  const Spline spline = spline_of(knots, kind == "uk", reader.label);
  if (head[0] > spline.grid.last)
    fail("block " + reader.label + ": the cutoff lies beyond the last knot");
  const int base = static_cast<int>(cubics.size() / 4);
  for (int c = 0; c < spline.grid.cells; c++)
    for (int p = 0; p < 4; p++) {
      double sum = 0.0;
      for (int b = 0; b < 4; b++) sum += values[spline.start[c] + b] * spline.basis[c][b][p];
      cubics.push_back(sum);
    }
  const int a = element_of(first), b = element_of(second), n = n_elements();
  pairs[a * n + b] = pairs[b * n + a] = PairTerm{spline.grid, head[0], base};
  pair_known[a * n + b] = pair_known[b * n + a] = 1;
}

void Potential::read_triplet(Reader &reader)
{
  std::istringstream names(reader.label);
  std::string body, centre, first, second, kind;
  names >> body >> centre >> first >> second >> kind;
  const auto head = reader.numbers(6);
  if (head[1] != head[2] || head[0] != 2 * head[1])
    fail("block " + reader.label + " must have cutoffs rik = rij and rjk = 2 rij");
  std::vector<double> knots[3];
  for (int axis = 0; axis < 3; axis++)
    knots[axis] = reader.numbers(static_cast<size_t>(head[3 + axis]));
  const auto shape = reader.numbers(3);
  const size_t size[3] = {static_cast<size_t>(shape[0]), static_cast<size_t>(shape[1]),
                          static_cast<size_t>(shape[2])};
  for (int axis = 0; axis < 3; axis++)
    if (knots[2 - axis].size() != size[axis] + 4)
      fail("block " + reader.label + " needs four more knots than coefficients on each axis");
  std::vector<double> grid;
  for (size_t row = 0; row < size[0] * size[1]; row++) {
    const auto values = reader.numbers(size[2]);
    grid.insert(grid.end(), values.begin(), values.end());
  }
  const int c = element_of(centre);
  int a = element_of(first), b = element_of(second);
  const bool uniform = kind == "uk";
  std::vector<double> ij = knots[2], ik = knots[1];
  if (a == b && ij != ik)
    fail("block " + reader.label + ": two neighbours of one element need equal ij and ik knots");
  if (a >= b) {
    // Sorted neighbours swap the axes; equal ones take the upper triangle, as pair_style uf3 does.
    std::vector<double> swapped(grid.size());
    for (size_t l = 0; l < size[0]; l++)
      for (size_t m = 0; m < size[1]; m++)
        for (size_t n = 0; n < size[2]; n++)
          swapped[(m * size[0] + l) * size[2] + n] =
              grid[((a == b && l > m ? m * size[1] + l : l * size[1] + m)) * size[2] + n];
    grid = swapped;
    std::swap(ij, ik);
    std::swap(a, b);
  }
  const Spline one = spline_of(ij, uniform, reader.label);
  const Spline two = spline_of(ik, uniform, reader.label);
  const Spline base = spline_of(knots[0], uniform, reader.label);
  if (head[1] > one.grid.last || head[1] > two.grid.last || head[0] > base.grid.last)
    fail("block " + reader.label + ": a cutoff lies beyond the last knot");
  TripletTerm &term = triplets[(c * n_elements() + a) * n_elements() + b];
  term.ij = one.grid;
  term.ik = two.grid;
  term.jk = base.grid;
  term.cut = head[1];
  add_blocks(term, grid, one, two, base);
  triplet_known[(c * n_elements() + a) * n_elements() + b] = 1;
}

// Change from B-splines to monomials, one axis after the other, for every cell.
void Potential::add_blocks(TripletTerm &term, const std::vector<double> &grid, const Spline &ij,
                           const Spline &ik, const Spline &jk)
{
  const size_t columns = jk.start.back() + 4, rows = ik.start.back() + 4;
  term.base = static_cast<std::int64_t>(pool.size() / 64);
  for (int a = 0; a < ij.grid.cells; a++)
    for (int b = 0; b < ik.grid.cells; b++)
      for (int c = 0; c < jk.grid.cells; c++) {
        double block[4][4][4] = {}, half[4][4][4] = {}, done[4][4][4] = {};
        for (int l = 0; l < 4; l++)
          for (int m = 0; m < 4; m++)
            for (int n = 0; n < 4; n++)
              for (int p = 0; p < 4; p++)
                block[l][m][p] += jk.basis[c][n][p] *
                    grid[((ij.start[a] + l) * rows + ik.start[b] + m) * columns + jk.start[c] + n];
        for (int l = 0; l < 4; l++)
          for (int m = 0; m < 4; m++)
            for (int q = 0; q < 4; q++)
              for (int p = 0; p < 4; p++) half[l][q][p] += ik.basis[b][m][q] * block[l][m][p];
        for (int l = 0; l < 4; l++)
          for (int s = 0; s < 4; s++)
            for (int q = 0; q < 4; q++)
              for (int p = 0; p < 4; p++) done[s][q][p] += ij.basis[a][l][s] * half[l][q][p];
        pool.insert(pool.end(), &done[0][0][0], &done[0][0][0] + 64);
      }
}

void Potential::finish()
{
  const int n = n_elements();
  for (int a = 0; a < n; a++)
    for (int b = 0; b < n; b++)
      if (!pair_known[a * n + b])
        fail("the file has no 2B block of " + elements[a] + " " + elements[b]);
  reaches.assign(n * n, 0.0);
  reaches_squared.assign(n * n, 0.0);
  shared.assign(n, 1);
  shared_pairs.assign(n, 1);
  const auto same = [](const Grid &one, const Grid &two) {
    return one.cells == two.cells &&
        std::equal(one.knots, one.knots + one.cells + 1, two.knots);
  };
  for (int a = 0; a < n; a++)
    for (int b = 1; b < n; b++)
      if (!same(pair(a, b).grid, pair(a, 0).grid)) shared_pairs[a] = 0;
  if (!three_body) return;
  for (int c = 0; c < n; c++)
    for (int a = 0; a < n; a++)
      for (int b = a; b < n; b++) {
        if (!triplet_known[(c * n + a) * n + b])
          fail("the file has no 3B block of " + elements[c] + " " + elements[a] + " " + elements[b]);
        const TripletTerm &term = triplet(c, a, b), &first = triplet(c, 0, 0);
        // pair_style uf3 looks for triplets among the pairs.
        reaches[c * n + a] = std::max(reaches[c * n + a], std::min(term.cut, pair(c, a).cut));
        reaches[c * n + b] = std::max(reaches[c * n + b], std::min(term.cut, pair(c, b).cut));
        if (term.cut != first.cut || term.cut > pair(c, a).cut || term.cut > pair(c, b).cut ||
            !same(term.ij, first.ij) || !same(term.ik, first.ij) || !same(term.jk, first.jk))
          shared[c] = 0;
      }
  for (int i = 0; i < n * n; i++) reaches_squared[i] = reaches[i] * reaches[i];
  const size_t used = pool.size();
  pool.resize(used + 8);
  const auto address = reinterpret_cast<std::uintptr_t>(pool.data());
  const size_t shift = ((64 - address % 64) % 64) / sizeof(double);
  aligned = pool.data() + shift;
  std::copy_backward(pool.data(), pool.data() + used, pool.data() + used + shift);
}

void Potential::fill(Input &input) const
{
  input.n_elements = n_elements();
  input.pair = pairs.data();
  input.triplet = triplets.data();
  input.reach_squared = reaches_squared.data();
  input.shared_pairs = shared_pairs.data();
  input.shared = shared.data();
  input.cubics = cubics.data();
  input.blocks = aligned;
}

double Potential::bytes() const
{
  return static_cast<double>(pool.size()) * sizeof(double);
}

}    // namespace hopecho
