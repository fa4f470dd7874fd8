"""CPU seconds that abTEM takes for the liquid image of `cargo bench --bench multislice`: 100 slices, 200 x 200 pixels, 5 frozen configurations, 21 defoci.

    echo 'cell::paper().fill(structure::bundled("fept_1.5nm"), #{ seed: 1 }).structure.save("cell.xyz");' > cell.rhai
    cargo run --release -- run cell.rhai
    pip install 'abtem<1.1'
    python benches/abtem_liquid.py cell.xyz

One thread; the first image, which compiles, does not count. Sub-pixel potentials are abTEM's own ("infinite"), the illumination's cone is left out.
"""

import os
import sys
import time

for variable in ["OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"]:
    os.environ[variable] = "1"

import abtem
import ase
import dask
import numpy as np

dask.config.set(scheduler="synchronous")
abtem.config.set({"precision": "float32", "fft": "fftw", "fftw.threads": 1, "device": "cpu"})

rows = [line.split() for line in open(sys.argv[1]).read().splitlines()[2:]]
positions = np.array([[float(x) for x in row[1:4]] for row in rows])
atoms = ase.Atoms([row[0] for row in rows], positions=positions, cell=[50, 50, 100])
atoms.wrap()


def image(seed):
    phonons = abtem.FrozenPhonons(atoms, num_configs=5, sigmas=0.08, seed=seed)
    potential = abtem.Potential(phonons, gpts=(200, 200), slice_thickness=1.0, parametrization="kirkland", projection="infinite")
    wave = abtem.PlaneWave(energy=200e3).multislice(potential, lazy=True)
    lens = abtem.CTF(Cs=-1e5, C50=3e7, defocus=np.linspace(-40, 160, 21), semiangle_cutoff=30, energy=200e3)
    return wave.apply_ctf(lens).intensity().compute()


seconds = []
for seed in range(6):
    before = time.process_time()
    image(seed)
    seconds.append(time.process_time() - before)
print(f"{len(atoms)} atoms: {np.median(seconds[1:]):.2f} CPU s an image (median of 5)")
