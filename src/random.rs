//! Random numbers that do not depend on the number of threads.
//!
//! Every draw in pedesis comes from a ChaCha8 stream keyed by (seed, purpose, index): the seed is the user's, the
//! purpose names the kernel (`"noise"`), the index is that of the item (image, start, …). Two items never share a
//! stream, and the order in which threads take them does not matter.

use nalgebra::{Quaternion, UnitQuaternion};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// The stream of random numbers for item `index` of `purpose` under the user's `seed`.
pub fn stream(seed: u64, purpose: &str, index: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&fnv1a(purpose.as_bytes()).to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}

/// A rotation drawn uniformly from SO(3): four normal deviates, normalised.
pub fn rotation(rng: &mut ChaCha8Rng) -> UnitQuaternion<f64> {
    loop {
        let [w, x, y, z]: [f64; 4] = std::array::from_fn(|_| rng.sample(StandardNormal));
        let q = Quaternion::new(w, x, y, z);
        if q.norm() > 1e-6 {
            return UnitQuaternion::from_quaternion(q);
        }
    }
}

/// 64-bit FNV-1a: a hash that stays the same from one build and machine to the next.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_purpose_and_index_and_repeat() {
        let draw = |seed, purpose, index| stream(seed, purpose, index).random::<u64>();
        assert_eq!(draw(1, "noise", 0), draw(1, "noise", 0));
        assert_ne!(draw(1, "noise", 0), draw(2, "noise", 0));
        assert_ne!(draw(1, "noise", 0), draw(1, "shift", 0));
        assert_ne!(draw(1, "noise", 0), draw(1, "noise", 1));
    }

    #[test]
    fn random_rotations_are_isotropic() {
        // The mean of a rotation matrix over SO(3) is zero; 4000 draws leave a scatter of 1/sqrt(3·4000) an element.
        let mut rng = stream(7, "test", 0);
        let sum =
            (0..4000).fold(nalgebra::Matrix3::zeros(), |sum, _| sum + rotation(&mut rng).to_rotation_matrix().matrix());
        assert!((sum / 4000.0).abs().max() < 5.0 / (3.0f64 * 4000.0).sqrt());
    }
}
