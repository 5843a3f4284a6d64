// SPDX-License-Identifier: GPL-2.0-only
// Four doubles at a time: vector extensions of the compiler, and intrinsics where they are needed.

#ifndef HOPECHO_LANES_H
#define HOPECHO_LANES_H

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace hopecho {
namespace {

typedef double Lanes __attribute__((vector_size(32)));
typedef double LanesAnywhere __attribute__((vector_size(32), aligned(8), may_alias));
typedef long long Mask __attribute__((vector_size(32)));
typedef int Ints __attribute__((vector_size(16)));
typedef int IntsAnywhere __attribute__((vector_size(16), aligned(4), may_alias));

#define HOPECHO_INLINE static inline __attribute__((always_inline))

HOPECHO_INLINE Lanes load(const double *p)
{
  return *reinterpret_cast<const LanesAnywhere *>(p);
}

HOPECHO_INLINE void store(double *p, Lanes v)
{
  *reinterpret_cast<LanesAnywhere *>(p) = v;
}

HOPECHO_INLINE Ints load(const int *p)
{
  return *reinterpret_cast<const IntsAnywhere *>(p);
}

HOPECHO_INLINE void store(int *p, Ints v)
{
  *reinterpret_cast<IntsAnywhere *>(p) = v;
}

HOPECHO_INLINE Lanes all(double x)
{
  return Lanes{x, x, x, x};
}

HOPECHO_INLINE Ints all(int x)
{
  return Ints{x, x, x, x};
}

HOPECHO_INLINE double sum(Lanes v)
{
  return (v[0] + v[2]) + (v[1] + v[3]);
}

HOPECHO_INLINE Lanes to_double(Ints v)
{
  return __builtin_convertvector(v, Lanes);
}

HOPECHO_INLINE Ints truncate(Lanes v)
{
  return __builtin_convertvector(v, Ints);
}

HOPECHO_INLINE bool any(Mask mask)
{
#if defined(__AVX2__)
  return _mm256_movemask_pd(reinterpret_cast<__m256d>(mask)) != 0;
#else
  return (mask[0] | mask[1] | mask[2] | mask[3]) != 0;
#endif
}

// Rows to columns: a, b, c, d become their first, second, third and fourth entries.
HOPECHO_INLINE void transpose(Lanes &a, Lanes &b, Lanes &c, Lanes &d)
{
  const Mask low = {0, 4, 2, 6}, high = {1, 5, 3, 7}, left = {0, 1, 4, 5}, right = {2, 3, 6, 7};
  const Lanes ab = __builtin_shuffle(a, b, low), ba = __builtin_shuffle(a, b, high);
  const Lanes cd = __builtin_shuffle(c, d, low), dc = __builtin_shuffle(c, d, high);
  a = __builtin_shuffle(ab, cd, left);
  b = __builtin_shuffle(ba, dc, left);
  c = __builtin_shuffle(ab, cd, right);
  d = __builtin_shuffle(ba, dc, right);
}

// r and 1 / r from r^2 > 0.
HOPECHO_INLINE void roots(Lanes squared, Lanes &r, Lanes &inverse)
{
#if defined(__AVX512VL__)
  const Lanes y = _mm256_rsqrt14_pd(squared);
  // Series of (1 - e)^(-1/2); with |e| < 2^-13 the next term is lost in rounding.
  const Lanes e = 1.0 - squared * y * y;
  inverse = y + e * y * (0.5 + e * (0.375 + e * 0.3125));
  r = squared * inverse;
#elif defined(__AVX2__)
  r = _mm256_sqrt_pd(squared);
  inverse = 1.0 / r;
#else
  for (int lane = 0; lane < 4; lane++) r[lane] = __builtin_sqrt(squared[lane]);
  inverse = 1.0 / r;
#endif
}

#if defined(__AVX512VL__)

typedef __mmask8 Kept;

HOPECHO_INLINE Kept below(Lanes v, Lanes limit)
{
  return _mm256_cmp_pd_mask(v, limit, _CMP_LT_OQ);
}

HOPECHO_INLINE int count(Kept kept)
{
  return __builtin_popcount(kept);
}

// Write the kept lanes side by side; lanes beyond them hold anything.
HOPECHO_INLINE void pack(double *p, Lanes v, Kept kept)
{
  store(p, static_cast<Lanes>(_mm256_maskz_compress_pd(kept, v)));
}

HOPECHO_INLINE void pack(int *p, Ints v, Kept kept)
{
  store(p, reinterpret_cast<Ints>(_mm_maskz_compress_epi32(kept, reinterpret_cast<__m128i>(v))));
}

#elif defined(__AVX2__)

typedef int Kept;

alignas(32) const int PACK_DOUBLES[16][8] = {
    {0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}, {2, 3, 0, 1, 4, 5, 6, 7},
    {0, 1, 2, 3, 4, 5, 6, 7}, {4, 5, 0, 1, 2, 3, 6, 7}, {0, 1, 4, 5, 2, 3, 6, 7},
    {2, 3, 4, 5, 0, 1, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}, {6, 7, 0, 1, 2, 3, 4, 5},
    {0, 1, 6, 7, 2, 3, 4, 5}, {2, 3, 6, 7, 0, 1, 4, 5}, {0, 1, 2, 3, 6, 7, 4, 5},
    {4, 5, 6, 7, 0, 1, 2, 3}, {0, 1, 4, 5, 6, 7, 2, 3}, {2, 3, 4, 5, 6, 7, 0, 1},
    {0, 1, 2, 3, 4, 5, 6, 7}};
alignas(16) const int PACK_INTS[16][4] = {
    {0, 1, 2, 3}, {0, 1, 2, 3}, {1, 0, 2, 3}, {0, 1, 2, 3}, {2, 0, 1, 3}, {0, 2, 1, 3},
    {1, 2, 0, 3}, {0, 1, 2, 3}, {3, 0, 1, 2}, {0, 3, 1, 2}, {1, 3, 0, 2}, {0, 1, 3, 2},
    {2, 3, 0, 1}, {0, 2, 3, 1}, {1, 2, 3, 0}, {0, 1, 2, 3}};

HOPECHO_INLINE Kept below(Lanes v, Lanes limit)
{
  return _mm256_movemask_pd(_mm256_cmp_pd(v, limit, _CMP_LT_OQ));
}

HOPECHO_INLINE int count(Kept kept)
{
  return __builtin_popcount(kept);
}

HOPECHO_INLINE void pack(double *p, Lanes v, Kept kept)
{
  const __m256i order = _mm256_load_si256(reinterpret_cast<const __m256i *>(PACK_DOUBLES[kept]));
  store(p, reinterpret_cast<Lanes>(
               _mm256_permutevar8x32_ps(reinterpret_cast<__m256>(v), order)));
}

HOPECHO_INLINE void pack(int *p, Ints v, Kept kept)
{
  const __m128i order = _mm_load_si128(reinterpret_cast<const __m128i *>(PACK_INTS[kept]));
  store(p, reinterpret_cast<Ints>(_mm_permutevar_ps(reinterpret_cast<__m128>(v), order)));
}

#else

struct Kept {
  bool lane[4];
};

HOPECHO_INLINE Kept below(Lanes v, Lanes limit)
{
  return {{v[0] < limit[0], v[1] < limit[1], v[2] < limit[2], v[3] < limit[3]}};
}

HOPECHO_INLINE int count(Kept kept)
{
  return kept.lane[0] + kept.lane[1] + kept.lane[2] + kept.lane[3];
}

HOPECHO_INLINE void pack(double *p, Lanes v, Kept kept)
{
  for (int lane = 0; lane < 4; lane++) {
    *p = v[lane];
    p += kept.lane[lane];
  }
}

HOPECHO_INLINE void pack(int *p, Ints v, Kept kept)
{
  for (int lane = 0; lane < 4; lane++) {
    *p = v[lane];
    p += kept.lane[lane];
  }
}

#endif

}    // namespace
}    // namespace hopecho

#endif
