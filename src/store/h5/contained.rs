//! Does a file hold all its data itself?
//!
//! HDF5 can point to other files in three ways: external links, datasets whose bytes lie in other files, and virtual datasets. None is followed: who
//! opens one file to a script does not mean others, and a result must not change with files that nobody named.

use hdf5::dataset::Layout;
use hdf5::{Dataset, Group, LinkType, LocationToken, LocationType};

use super::Problem;
use super::read::check_depth;

/// Fails if anything in `file` lies in another file.
pub fn check(file: &hdf5::File) -> Result<(), Problem> {
    check_group(file, "", &mut Vec::new())
}

/// `seen`: groups that several links lead to, above all those that lead back.
fn check_group(group: &Group, path: &str, seen: &mut Vec<LocationToken>) -> Result<(), Problem> {
    check_depth(path.matches('/').count())?;
    let info = group.loc_info()?;
    if info.num_links > 1 {
        if seen.contains(&info.token) {
            return Ok(());
        }
        seen.push(info.token);
    }
    let mut links = Vec::new();
    group.iter_visit_default(|name, link| {
        links.push((name.to_owned(), link.link_type));
        Ok(())
    })?;
    for (name, link) in links {
        let path = format!("{path}/{name}");
        match link {
            LinkType::External => return Err(elsewhere(&path, "a link to another file")),
            // it leads to what a hard link leads to as well
            LinkType::Soft => {}
            LinkType::Hard => match group.loc_type_by_name(&name)? {
                LocationType::Group => check_group(&group.group(&name)?, &path, seen)?,
                LocationType::Dataset => check_dataset(&group.dataset(&name)?, &path)?,
                _ => {}
            },
        }
    }
    Ok(())
}

fn check_dataset(dataset: &Dataset, path: &str) -> Result<(), Problem> {
    let stored = dataset.dcpl()?;
    if stored.get_layout()? == Layout::Virtual {
        return Err(elsewhere(path, "put together from other datasets (virtual)"));
    }
    if stored.get_external()?.is_empty() { Ok(()) } else { Err(elsewhere(path, "stored in another file")) }
}

fn elsewhere(path: &str, what: &str) -> Problem {
    Problem(format!("{path} is {what}, which is not followed: copy the data into one file"))
}
