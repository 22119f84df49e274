//! The small languages that values are written in.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use chaos_proxy::spec::endpoint::Endpoint;
use chaos_proxy::spec::{Allowed, Cidr, Frequency, Period, Rate, Size};

/// No panic, and what is read is shown so that it reads the same.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for text in text.lines().take(64) {
        kept::<Endpoint>(text);
        kept::<Cidr>(text);
        kept::<Allowed>(text);
        kept::<Period>(text);
        kept::<Size>(text);
        kept::<Rate>(text);
        kept::<Frequency>(text);
    }
}

fn kept<T: FromStr + Display + PartialEq + Debug>(text: &str)
where
    T::Err: Display,
{
    match text.parse::<T>() {
        Ok(read) => {
            let shown = read.to_string();
            assert_eq!(shown.parse::<T>().ok().as_ref(), Some(&read), "{text:?} is shown as {shown:?}");
        }
        Err(error) => assert!(error.to_string().len() < 4096),
    }
}
