//! Headers of the PROXY protocol.

use chaos_proxy::upstream::proxy_header::{Header, MOST, Parsed};

/// No panic, no length beyond the bytes or the bound, and once there is a verdict no further byte changes it.
pub fn target(data: &[u8]) {
    let whole = Header::parse(data);
    if let Parsed::Done(header) = &whole {
        assert!(header.length <= data.len() && header.length <= 16 + MOST, "{header:?}");
        assert_eq!(Header::parse(&data[..header.length]), whole, "what follows has changed it");
    }
    for cut in 0..data.len().min(600) {
        match Header::parse(&data[..cut]) {
            Parsed::Incomplete => {}
            verdict => assert_eq!(verdict, whole, "after {cut} bytes"),
        }
    }
    if data.len() > 16 + MOST {
        assert!(!matches!(whole, Parsed::Incomplete), "it waits for ever");
    }
}
