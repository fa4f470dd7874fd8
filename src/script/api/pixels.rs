//! `images::`, the pixels themselves: for filters and pictures that nobody thought of.

use rhai::plugin::*;

/// Pixels of images as numbers.
#[export_module(manifest)]
pub mod api {
    use ndarray::{Array3, Axis};
    use rhai::Array;

    use crate::images::Images;
    use crate::script::{ScriptResult, Session, fault, options};

    /// Some of the images, by their numbers from 0, in the order given.
    ///
    /// A number beyond the last image is an error, and so is no number at all.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 6 });
    /// print(raw.select([0, 4, 5]));
    /// plot::images(raw.select([2])).save("third.png");
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn select(images: Images, numbers: Array) -> ScriptResult<Images> {
        let numbers = crate::script::api::indices(&numbers, images.len(), "image")?;
        if numbers.is_empty() {
            return Err(fault("no images are selected; give their numbers, as in [0, 1, 2]"));
        }
        Ok(images.select(&numbers))
    }

    /// The pixels of one image as an array of rows, each an array of numbers.
    ///
    /// * `number`: of the image, from 0.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2, size: 80 });
    /// let rows = raw.pixels(1);
    /// print(rows[40][40]);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn pixels(images: Images, number: Dynamic) -> ScriptResult<Array> {
        let number = crate::script::api::index(&number, images.len(), "image")?;
        let rows = images.data().index_axis(Axis(0), number);
        let row = |row: ndarray::ArrayView1<f32>| {
            row.iter().map(|&pixel| Dynamic::from_float(pixel.into())).collect::<Array>()
        };
        Ok(rows.rows().into_iter().map(|pixels| row(pixels).into()).collect())
    }

    /// Images from their pixels: an array of images, each an array of rows as `pixels` gives them.
    ///
    /// * `pixel_size` (Å).
    ///
    /// Images must be square and of one size, and all pixels finite numbers. Faster for many images: write them with h5py or mrcfile and read them with
    /// `store::images`.
    ///
    /// ```rhai
    /// let ramp = (0..64).map(|y| (0..64).map(|x| x + 2 * y));
    /// print(images::from_pixels([ramp], 0.25));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn from_pixels(call: NativeCallContext, pixels: Array, pixel_size: f64) -> ScriptResult<Images> {
        if !(pixel_size.is_finite() && pixel_size > 0.0) {
            return Err(fault(format!("the pixel size must be a positive number of Å, not {pixel_size}")));
        }
        let mut values = Vec::new();
        let mut size = 0;
        for (number, image) in pixels.iter().enumerate() {
            let rows = image.as_array_ref().map_err(|_| fault(format!("image {number} is not an array of rows")))?;
            size = if number == 0 { rows.len() } else { size };
            let is_square =
                rows.len() == size && rows.iter().all(|row| row.as_array_ref().is_ok_and(|row| row.len() == size));
            if size == 0 || !is_square {
                let why =
                    format!("image {number} is not {size} rows of {size} numbers; images are square and of one size");
                return Err(fault(why));
            }
            for row in rows.iter() {
                Session::of(&call).check()?;
                let numbers = options::numbers(&row.as_array_ref().map_err(fault)?, "a row")?;
                if numbers.iter().any(|&pixel| !(pixel as f32).is_finite()) {
                    return Err(fault(format!("image {number} has a pixel that is no finite number")));
                }
                values.extend(numbers.iter().map(|&pixel| pixel as f32));
            }
        }
        if values.is_empty() {
            return Err(fault("there are no images"));
        }
        let data = Array3::from_shape_vec((pixels.len(), size, size), values).map_err(fault)?;
        Ok(Images::new(data, pixel_size))
    }
}
