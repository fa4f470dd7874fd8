//! Matrix products through `gemm`, which chooses the best instructions of the processor it runs on.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;

/// `out` = A × B, or `out` += A × B, on the calling thread; views of any layout.
///
/// The order of summation depends on the shapes only, so that equal calls give equal bits.
///
/// # Panics
/// If the shapes do not fit.
pub fn multiply<T: Copy + 'static + num_traits::Zero + num_traits::One>(
    a: ArrayView2<T>,
    b: ArrayView2<T>,
    mut out: ArrayViewMut2<T>,
    accumulate: bool,
) {
    let ((m, k), n) = (a.dim(), b.dim().1);
    assert_eq!(k, b.dim().0, "inner dimensions agree");
    assert_eq!(out.dim(), (m, n), "the product fits its place");
    let (a_strides, b_strides) = (a.strides(), b.strides());
    let out_strides = [out.strides()[0], out.strides()[1]];
    // SAFETY: pointers, shapes and strides come from live views; `out` is borrowed mutably, so it aliases neither factor.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            out_strides[1],
            out_strides[0],
            accumulate,
            a.as_ptr(),
            a_strides[1],
            a_strides[0],
            b.as_ptr(),
            b_strides[1],
            b_strides[0],
            T::one(),
            T::one(),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// A × Bᵀ of two row-major matrices, blocks of rows of A side by side on all threads.
pub fn times_transposed(a: &Array2<f32>, b: &Array2<f32>) -> Array2<f32> {
    /// Rows a thread takes at a time; fixed, so that sums do not depend on threads.
    const ROWS: usize = 64;
    let mut out = Array2::zeros((a.dim().0, b.dim().0));
    out.axis_chunks_iter_mut(Axis(0), ROWS)
        .into_par_iter()
        .zip(a.axis_chunks_iter(Axis(0), ROWS))
        .for_each(|(out, rows)| multiply(rows, b.t(), out, false));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn products_match_the_definition() {
        let mut rng = crate::random::stream(5, "product test", 0);
        for (m, k, n) in [(1, 1, 1), (7, 5, 3), (33, 20, 18)] {
            let a = Array2::from_shape_fn((m, k), |_| rng.random_range(-1.0f32..1.0));
            let b = Array2::from_shape_fn((n, k), |_| rng.random_range(-1.0f32..1.0));
            let mut out = Array2::zeros((m, n));
            multiply(a.view(), b.t(), out.view_mut(), false);
            multiply(a.view(), b.t(), out.view_mut(), true);
            for ((i, j), got) in out.indexed_iter() {
                let sum: f32 = (0..k).map(|l| a[[i, l]] * b[[j, l]]).sum();
                assert!((got - 2.0 * sum).abs() < 1e-4);
            }
        }
    }
}
