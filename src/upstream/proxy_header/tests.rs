use proptest::prelude::*;

use super::*;

const V1: HeaderVersion = HeaderVersion::V1;
const V2: HeaderVersion = HeaderVersion::V2;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn done(length: usize, addresses: Option<(&str, &str)>) -> Parsed {
    Header::whole(length, addresses.map(|(from, to)| (at(from), at(to))))
}

/// Version 2 with these fields behind the addresses.
fn with_fields(fields: &[u8]) -> Vec<u8> {
    let addresses = [203, 0, 113, 7, 192, 0, 2, 1, 0xdd, 0xd5, 0x01, 0xbb];
    binary(PROXY, TCP4, &[&addresses, fields].concat())
}

fn with_checksum(wrong: u32) -> Vec<u8> {
    let field = |sum: u32| [&[CHECKSUM, 0, 4][..], &sum.to_be_bytes()].concat();
    let authority = [&[0x02, 0, 4][..], b"name"].concat();
    let whole = |sum| with_fields(&[&authority[..], &field(sum), &[0x04, 0, 1, 0xff]].concat());
    whole(crc32c(whole(0).into_iter()) ^ wrong)
}

/// Headers of every kind that are as they should be, with what they say.
fn good() -> Vec<(Vec<u8>, Parsed)> {
    let (from, to) = ("203.0.113.7:56789", "192.0.2.1:443");
    let (from6, to6) = ("[2001:db8::7]:1", "[::1]:65535");
    let text = |line: &str, addresses| (line.as_bytes().to_vec(), done(line.len(), addresses));
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(107 - 16));
    assert_eq!(longest.len(), 107);
    let unix = binary(PROXY, 0x31, &[b'/'; 216]);
    vec![
        text("PROXY TCP4 203.0.113.7 192.0.2.1 56789 443\r\n", Some((from, to))),
        text("PROXY TCP6 2001:db8::7 ::1 1 65535\r\n", Some((from6, to6))),
        text("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", Some(("0.0.0.0:0", "255.255.255.255:65535"))),
        text("PROXY UNKNOWN\r\n", None),
        text("PROXY UNKNOWN what ever 1 2\r\n", None),
        text(&longest, None),
        (write(V2, at(from), at(to)), done(28, Some((from, to)))),
        (write(V2, at(from6), at(to6)), done(52, Some((from6, to6)))),
        (with_checksum(0), done(28 + 7 + 7 + 4, Some((from, to)))),
        (with_fields(&[0xee, 0, 0]), done(31, Some((from, to)))),
        (own(V2), done(16, None)),
        // What a local one holds is passed over, whatever it is.
        (binary(LOCAL, 0xff, &[1, 2, 3]), done(19, None)),
        (binary(PROXY, UNSPECIFIED, &[9; 40]), done(56, None)),
        (unix, done(232, None)),
        (binary(PROXY, 0x12, &[0; 12]), done(28, None)),
        (with_fields(&[&[0x04, 0x0f, 0xf1][..], &[0; 4081]].concat()), done(16 + MOST, Some((from, to)))),
    ]
}

#[test]
fn headers_are_written_as_the_protocol_says() {
    let v1 = |from, to| String::from_utf8(write(V1, at(from), at(to))).unwrap();
    assert_eq!(v1("203.0.113.7:56789", "192.0.2.1:443"), "PROXY TCP4 203.0.113.7 192.0.2.1 56789 443\r\n");
    assert_eq!(v1("[2001:db8::7]:1", "[::1]:65535"), "PROXY TCP6 2001:db8::7 ::1 1 65535\r\n");
    assert_eq!(v1("[::ffff:10.0.0.1]:1", "192.0.2.1:2"), "PROXY TCP4 10.0.0.1 192.0.2.1 1 2\r\n");
    assert_eq!(v1("[2001:db8::7]:1", "192.0.2.1:2"), "PROXY UNKNOWN\r\n");
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let v2 = |from, to| hex(write(V2, at(from), at(to)));
    let signature = "0d0a0d0a000d0a515549540a";
    assert_eq!(
        v2("203.0.113.7:56789", "192.0.2.1:443"),
        format!("{signature}2111000ccb007107c0000201ddd501bb")
    );
    assert_eq!(v2("[::ffff:203.0.113.7]:56789", "192.0.2.1:443"), v2("203.0.113.7:56789", "192.0.2.1:443"));
    assert_eq!(
        v2("[2001:db8::7]:1", "[::1]:65535"),
        format!(
            "{signature}2121002420010db8000000000000000000000007000000000000000000000000000000010001ffff"
        )
    );
    assert_eq!(v2("[2001:db8::7]:1", "192.0.2.1:2"), format!("{signature}21000000"));
    assert_eq!((own(V1), hex(own(V2))), (b"PROXY UNKNOWN\r\n".to_vec(), format!("{signature}20000000")));
}

#[test]
fn the_checksum_is_castagnolis() {
    assert_eq!(crc32c(b"123456789".iter().copied()), 0xe306_9283);
}

/// P20 and P24: whole, cut short everywhere, and with data behind it.
#[test]
fn good_headers_are_read_however_they_come() {
    for (bytes, expected) in good() {
        assert_eq!(Header::parse(&bytes), expected, "{bytes:?}");
        for n in 0..bytes.len() {
            assert_eq!(Header::parse(&bytes[..n]), Parsed::Incomplete, "{n} of {bytes:?}");
        }
        for data in [&b"\r\n"[..], b"PROXY", &[0; 70_000]] {
            assert_eq!(Header::parse(&[&bytes[..], data].concat()), expected, "{bytes:?} and data");
        }
    }
}

/// P21, P22: what is no header, and what is a wrong one.
#[test]
fn what_is_wrong_is_refused_with_a_reason() {
    let long = format!("PROXY UNKNOWN {}", "f".repeat(107 - 14));
    let lines: &[(&str, Parsed)] = &[
        ("GET / HTTP/1.1\r\n", Parsed::Missing),
        ("proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n", Parsed::Missing),
        ("PROXYTCP4", Parsed::Missing),
        ("PRO\r\n", Parsed::Missing),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", Parsed::Bad("its line does not end in CR LF")),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rX", Parsed::Bad("its line does not end in CR LF")),
        ("PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n", Parsed::Bad("its family is none of TCP4, TCP6 and UNKNOWN")),
        ("PROXY \r\n", Parsed::Bad("its family is none of TCP4, TCP6 and UNKNOWN")),
        ("PROXY UNKNOWNS\r\n", Parsed::Bad("its family is none of TCP4, TCP6 and UNKNOWN")),
        (&long, Parsed::Bad("its line is too long")),
        (&format!("{long}\r\n"), Parsed::Bad("its line is too long")),
        (&format!("{}\r\n", &long[..106]), Parsed::Bad("its line is too long")),
    ];
    for (line, expected) in lines {
        assert_eq!(Header::parse(line.as_bytes()), *expected, "{line:?}");
    }
    for rest in [
        "TCP4 ::1 2.2.2.2 1 2",
        "TCP6 1.1.1.1 ::1 1 2",
        "TCP4 1.1.1.1 2.2.2.2 1 65536",
        "TCP4 1.1.1.1 2.2.2.2 01 2",
        "TCP4 1.1.1.1 2.2.2.2 +1 2",
        "TCP4 1.1.1.1 2.2.2.2 -1 2",
        "TCP4 1.1.1.1 2.2.2.2 1",
        "TCP4 1.1.1.1 2.2.2.2 1 2 3",
        "TCP4 1.1.1.1 2.2.2.2 1 2 ",
        "TCP4  1.1.1.1 2.2.2.2 1 2",
        "TCP4 01.1.1.1 2.2.2.2 1 2",
        "TCP4 1.1.1 2.2.2.2 1 2",
        "TCP6 [::1] ::1 1 2",
        "TCP6 fe80::1%1 ::1 1 2",
        "TCP4 1.1.1.1 2.2.2.2 1 2\0",
        "TCP4",
    ] {
        let line = format!("PROXY {rest}\r\n");
        assert_eq!(Header::parse(line.as_bytes()), Parsed::Bad("its addresses or ports are wrong"), "{rest}");
    }
}

#[test]
fn a_wrong_binary_header_is_refused_with_a_reason() {
    let with = |command, family, length: u16, behind: usize| {
        let head = [&SIGNATURE[..], &[command, family], &length.to_be_bytes()].concat();
        [head, vec![0; behind]].concat()
    };
    let wrong = [
        (with(0x11, TCP4, 12, 12), "its version is not 2"),
        (with(0x22, TCP4, 12, 12), "its command is neither LOCAL nor PROXY"),
        (with(PROXY, 0x41, 12, 12), "its family or transport is none that there is"),
        (with(PROXY, 0x13, 12, 12), "its family or transport is none that there is"),
        (with(PROXY, TCP4, 65_535, 0), "it is longer than 4096 bytes"),
        (with(LOCAL, TCP4, 4_097, 0), "it is longer than 4096 bytes"),
        (with(PROXY, TCP4, 11, 11), "it is too short for its addresses"),
        (with(PROXY, TCP6, 12, 12), "it is too short for its addresses"),
        (with(PROXY, 0x31, 215, 215), "it is too short for its addresses"),
        (with_fields(&[4, 0]), "a field in it goes beyond its end"),
        (with_fields(&[4, 0, 2, 1]), "a field in it goes beyond its end"),
        (with_fields(&[CHECKSUM, 0, 3, 1, 2, 3]), "its checksum is not 4 bytes long"),
        (with_checksum(1), "its checksum is wrong"),
    ];
    for (bytes, why) in wrong {
        assert_eq!(Header::parse(&bytes), Parsed::Bad(why));
    }
    let mut bytes = own(V2);
    for i in 0..12 {
        bytes[i] ^= 1;
        assert!(
            !matches!(Header::parse(&bytes), Parsed::Done(_) | Parsed::Incomplete),
            "signature, byte {i}"
        );
        bytes[i] ^= 1;
    }
}

/// Every single flipped bit: never a panic, never a length beyond the bound, and where there is a checksum, never believed.
#[test]
fn no_flipped_bit_does_harm() {
    for (bytes, before) in good() {
        let local = bytes.get(12) == Some(&LOCAL);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match Header::parse(&flipped) {
                Parsed::Done(header) => assert!(header.length <= bytes.len() && bit >= 48, "bit {bit}"),
                // A length or a line's end that is further away now.
                Parsed::Incomplete => {
                    assert!(local || (104..128).contains(&bit) || bit / 8 + 2 >= bytes.len());
                }
                Parsed::Missing | Parsed::Bad(_) => {}
            }
        }
        assert_eq!(Header::parse(&bytes), before);
    }
    let bytes = with_checksum(0);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let parsed = Header::parse(&flipped);
        // Told to be local or unspecified, it says nothing; a shorter one may end before its checksum.
        let believed = matches!(parsed, Parsed::Done(header) if header.source.is_some());
        let told = flipped[12] == LOCAL || flipped[14..16] != bytes[14..16] || flipped[28..] != bytes[28..];
        assert!(!believed || told, "bit {bit}: {parsed:?}");
    }
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<(u32, u16)>().prop_map(|(ip, port)| SocketAddr::new(Ipv4Addr::from(ip).into(), port));
    let v6 = any::<(u128, u16)>().prop_map(|(ip, port)| SocketAddr::new(Ipv6Addr::from(ip).into(), port));
    prop_oneof![v4, v6]
}

/// Bytes that begin as a header does and go on in any way.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        Just(Vec::new()),
        Just(b"PROXY ".to_vec()),
        Just(b"PROXY TCP4 ".to_vec()),
        Just(SIGNATURE.to_vec()),
        any::<(bool, u8)>().prop_map(|(local, family)| {
            [&SIGNATURE[..], &[if local { LOCAL } else { PROXY }, family & 0x33, 0]].concat()
        }),
    ];
    (start, prop::collection::vec(any::<u8>(), 0..400)).prop_map(|(start, rest)| [start, rest].concat())
}

proptest! {
    #[test]
    fn what_is_written_is_read(from in address(), to in address(), data in "[ -~]{0,20}") {
        let unmapped = |it: SocketAddr| SocketAddr::new(it.ip().to_canonical(), it.port());
        let same = unmapped(from).is_ipv4() == unmapped(to).is_ipv4();
        for version in [V1, V2] {
            let bytes = write(version, from, to);
            let expected = Header::whole(bytes.len(), same.then(|| (unmapped(from), unmapped(to))));
            prop_assert_eq!(Header::parse(&[&bytes[..], data.as_bytes()].concat()), expected);
        }
    }

    #[test]
    fn more_bytes_do_not_change_an_answer(bytes in nearly()) {
        let answer = Header::parse(&bytes);
        let mut before = Parsed::Incomplete;
        for n in 0..=bytes.len() {
            let now = Header::parse(&bytes[..n]);
            if before != Parsed::Incomplete {
                prop_assert_eq!(now, before);
            }
            if let Parsed::Done(header) = now {
                prop_assert!(header.length <= n);
            }
            before = now;
        }
        prop_assert_eq!(before, answer);
        prop_assert!(answer != Parsed::Incomplete || bytes.len() < FIXED + MOST);
    }
}
