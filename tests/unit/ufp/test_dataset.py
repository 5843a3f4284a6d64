"""Labelled structures as the fit takes them."""

import numpy as np
import pytest
from ase import Atoms

from hopecho.errors import HopechoError
from hopecho.ufp.dataset import labelled_frames


def labelled(source="model PES", **extra):
    atoms = Atoms("LiS", positions=[[0, 0, 0], [2, 0, 0]], cell=[6, 6, 6], pbc=True)
    atoms.info = {"REF_energy": -3.5, "source": source, "hash": "0123456789abcdef"} | extra
    atoms.arrays["REF_forces"] = np.arange(6.0).reshape(2, 3)
    return atoms


def test_labels_are_taken_over_with_their_name():
    stress = np.arange(6.0)
    with_stress, without = labelled_frames(
        [labelled(REF_stress=stress, trajectory="t1"), labelled()]
    )
    assert with_stress.energy == -3.5
    np.testing.assert_array_equal(with_stress.forces, np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(with_stress.stress, stress)
    assert without.stress is None
    assert with_stress.name == "frame 0 (t1 0123456789ab)"
    assert labelled_frames([]) == []


def test_sources_are_not_mixed():
    with pytest.raises(HopechoError, match=r"1 of CASTEP 24\.1 .*, 1 of model PES"):
        labelled_frames([labelled(), labelled("CASTEP 24.1")])
    with pytest.raises(HopechoError, match="fitted together"):
        labelled_frames([labelled(label_set="castep/a/x"), labelled(label_set="castep/b/x")])


@pytest.mark.parametrize("missing", ["REF_energy", "REF_forces"])
def test_a_frame_without_a_label_is_named(missing):
    bare = labelled(trajectory="t7")
    bare.info.pop(missing, None)
    bare.arrays.pop(missing, None)
    with pytest.raises(HopechoError, match=r"frame 1 \(t7 .*no label"):
        labelled_frames([labelled(), bare])
