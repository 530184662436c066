//! Addresses and hosts as tables; and names whose answers change.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use ipnet::IpNet;
use tower_service::Service;
use url::Host;

use super::names::{BoxError, Checked};
use super::{Guard, host};

fn guard(written: &str, networks: &[&str]) -> Guard {
    let networks: Vec<IpNet> = networks.iter().map(|net| net.parse().unwrap()).collect();
    Guard::new(&Host::parse(written).unwrap(), &networks)
}

/// What happens to a connection of the server written so, to this address. Empty: it is made.
#[track_caller]
fn check(written: &str, networks: &[&str], address: &str, expected: &str) {
    let address: std::net::IpAddr = address.parse().unwrap();
    let said = guard(written, networks).check(address);
    let said = said.err().map_or_else(String::new, |forbidden| forbidden.to_string());
    let expected = match expected {
        "" => String::new(),
        kind => format!("{address} is {kind}, and not in `networks`"),
    };
    assert_eq!(said, expected, "{written} {networks:?} {address}");
}

#[test]
fn a_name_reaches_the_internet_and_nothing_else() {
    let loopback = "a loopback address";
    let private = "a private address";
    let link = "a link-local address";
    let metadata = "the address of a metadata service";
    let tunnel = "an IPv4 address inside an IPv6 one";
    let reserved = "a reserved address";
    let shared = "an address of a shared network (100.64.0.0/10)";
    for (address, expected) in [
        ("8.8.8.8", ""),
        ("2606:4700::1111", ""),
        ("127.0.0.1", loopback),
        ("127.255.255.255", loopback),
        ("::1", loopback),
        ("10.0.0.1", private),
        ("172.16.0.1", private),
        ("172.31.255.255", private),
        ("172.32.0.1", ""),
        ("192.168.1.1", private),
        ("fc00::1", private),
        ("fdff::1", private),
        ("169.254.1.1", link),
        ("fe80::1", link),
        ("febf::1", link),
        ("100.64.0.1", shared),
        ("100.127.255.255", shared),
        ("100.128.0.1", ""),
        ("169.254.169.254", metadata),
        ("169.254.170.2", metadata),
        ("168.63.129.16", metadata),
        ("100.100.100.200", metadata),
        ("192.0.0.192", metadata),
        ("fd00:ec2::254", metadata),
        ("fd20:ce::254", metadata),
        ("0.0.0.0", "no address of a machine"),
        ("0.1.2.3", "no address of a machine"),
        ("::", "no address of a machine"),
        ("224.0.0.1", "a multicast address"),
        ("ff02::1", "a multicast address"),
        ("255.255.255.255", reserved),
        ("240.0.0.1", reserved),
        ("198.18.0.1", reserved),
        ("fec0::1", reserved),
        ("100::1", reserved),
        ("5f00::1", reserved),
        ("192.0.2.1", "an address for documentation"),
        ("198.51.100.1", "an address for documentation"),
        ("203.0.113.1", "an address for documentation"),
        ("2001:db8::1", "an address for documentation"),
        ("3fff::1", "an address for documentation"),
        // IPv4 in the clothes of IPv6
        ("::ffff:127.0.0.1", loopback),
        ("::ffff:169.254.169.254", metadata),
        ("::ffff:8.8.8.8", ""),
        ("::127.0.0.1", tunnel),
        ("::ffff:0:127.0.0.1", tunnel),
        ("2002:7f00:1::", tunnel),
        ("2002:808:808::", tunnel),
        ("2001::1", tunnel),
        ("64:ff9b::127.0.0.1", loopback),
        ("64:ff9b::169.254.169.254", metadata),
        ("64:ff9b::10.0.0.1", private),
        ("64:ff9b::8.8.8.8", ""),
        ("64:ff9b:1::8.8.8.8", tunnel),
        ("192.88.99.1", tunnel),
    ] {
        check("mcp.example.com", &[], address, expected);
    }
}

#[test]
fn what_is_written_out_is_meant() {
    for address in ["127.0.0.1", "10.0.0.1", "192.168.0.1", "100.64.0.1", "8.8.8.8"] {
        check(address, &[], address, "");
    }
    check("[::1]", &[], "::1", "");
    check("[fd00::1]", &[], "fd00::1", "");
    check("[::ffff:127.0.0.1]", &[], "::ffff:127.0.0.1", "");
    check("localhost", &[], "127.0.0.1", "");
    check("LOCALHOST", &[], "::1", "");
    check("localhost", &[], "10.0.0.1", "a private address");
    // But never these, and no name that only looks alike.
    check("169.254.1.1", &[], "169.254.1.1", "a link-local address");
    check("169.254.169.254", &[], "169.254.169.254", "the address of a metadata service");
    check("[::ffff:169.254.169.254]", &[], "::ffff:169.254.169.254", "the address of a metadata service");
    check("[fe80::1]", &[], "fe80::1", "a link-local address");
    check("0.0.0.0", &[], "0.0.0.0", "no address of a machine");
    check("[64:ff9b::169.254.169.254]", &[], "64:ff9b::169.254.169.254", "the address of a metadata service");
    check("localhost.", &[], "127.0.0.1", "a loopback address");
    check("localhost.example.com", &[], "127.0.0.1", "a loopback address");
    check("127.0.0.1.nip.io", &[], "127.0.0.1", "a loopback address");
}

#[test]
fn networks_open_what_they_list() {
    check("db.internal", &["10.0.0.0/8"], "10.1.2.3", "");
    check("db.internal", &["10.0.0.0/8"], "::ffff:10.1.2.3", "");
    check("db.internal", &["10.0.0.0/8"], "11.1.2.3", "");
    check("db.internal", &["10.0.0.0/8"], "192.168.0.1", "a private address");
    check("db.internal", &["fd00::/8"], "fd00::1", "");
    check("169.254.1.1", &["169.254.0.0/16"], "169.254.1.1", "");
    // A tunnel is opened as a tunnel, and what it carries for itself.
    check("db.internal", &["2002::/16"], "2002:808:808::", "");
    check("db.internal", &["2002::/16"], "2002:7f00:1::", "a loopback address");
    check("db.internal", &["2002::/16", "127.0.0.0/8"], "2002:7f00:1::", "");
    check("db.internal", &["::/0"], "64:ff9b::10.0.0.1", "a private address");
    // The metadata service only by its own name.
    for wide in ["169.254.0.0/16", "0.0.0.0/0", "169.254.169.254/31"] {
        check("db.internal", &[wide], "169.254.169.254", "the address of a metadata service");
    }
    check("db.internal", &["169.254.169.254/32"], "169.254.169.254", "");
    check("db.internal", &["fd00::/8"], "fd00:ec2::254", "the address of a metadata service");
}

/// Vector 102: one address, many spellings.
#[test]
fn a_host_has_one_spelling() {
    for (written, expected) in [
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ("mcp.example.com", "mcp.example.com"),
        ("MCP.Example.com", "mcp.example.com"),
        ("localhost.", "localhost."),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("1.example", "1.example"),
    ] {
        assert_eq!(host(written).unwrap().to_string(), expected, "{written}");
    }
    for written in [
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.01",
        "127.0.0.1.",
        "0X7F.0.0.1",
        "%31%32%37.0.0.1",
        "①②⑦.⓪.⓪.①",
        "１２７。０。０。１",
        "127。0。0。1",
    ] {
        let error = host(written).expect_err(written);
        assert_eq!(error, "has a host that programs read differently: write 127.0.0.1", "{written}");
    }
    for written in ["169.254.43518", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376"] {
        let error = host(written).expect_err(written);
        assert_eq!(error, "has a host that programs read differently: write 169.254.169.254", "{written}");
    }
    for written in ["ｌｏｃａｌｈｏｓｔ", "ⓛocalhost", "loc%61lhost"] {
        assert_eq!(
            host(written).unwrap_err(),
            "has a host that programs read differently: write localhost",
            "{written}"
        );
    }
    for written in ["256.0.0.1", "1.2.3.4.5", "0x100000000", "[::1%25lo]", "[::1", "", "a b", "08.0.0.1"] {
        let error = host(written).expect_err(written);
        assert_eq!(error, "has a host that is neither a name nor an address", "{written}");
    }
}

/// A resolver by a script: the nth question gets the nth answer.
#[derive(Clone)]
struct Scripted {
    answers: Arc<Mutex<Vec<Vec<&'static str>>>>,
    asked: Arc<AtomicUsize>,
}

impl Service<Name> for Scripted {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        let n = self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = &self.answers.lock().unwrap()[n];
        let answer: Vec<SocketAddr> =
            answer.iter().map(|ip| (ip.parse::<std::net::IpAddr>().unwrap(), 0).into()).collect();
        std::future::ready(Ok(answer.into_iter()))
    }
}

#[tokio::test]
async fn every_answer_of_a_name_is_judged_anew() {
    let answers = vec![vec!["8.8.8.8"], vec!["127.0.0.1"], vec!["169.254.169.254", "8.8.4.4", "::1"], vec![]];
    let names = Scripted { answers: Arc::new(Mutex::new(answers)), asked: Arc::default() };
    let mut checked = Checked { names: names.clone(), guard: Arc::new(guard("rebind.example", &[])) };
    let mut ask = async || {
        let found = checked.call("rebind.example".parse().unwrap()).await;
        found.map(|all| all.map(|at| at.ip().to_string()).collect::<Vec<_>>()).map_err(|error| error.to_string())
    };
    assert_eq!(ask().await.unwrap(), ["8.8.8.8"]);
    assert_eq!(ask().await.unwrap_err(), "127.0.0.1 is a loopback address, and not in `networks`");
    assert_eq!(ask().await.unwrap(), ["8.8.4.4"], "what is left may be used");
    assert_eq!(ask().await.unwrap(), Vec::<String>::new());
    assert_eq!(names.asked.load(Ordering::Relaxed), 4, "asked once for each connection, and never again");
}
