//! Whom an isolated pod may still talk to: the allow-list, and whether it covers what another policy allows.

use std::fmt;

use ipnet::IpNet;
use k8s_openapi::{
    api::networking::v1::{IPBlock, NetworkPolicyPeer},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use super::selector::Labels;
use crate::act::config::ConfigError;

/// The label that every namespace has, whose value is its name.
pub(super) const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// One entry of an allow-list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    /// Addresses, IPv4 or IPv6.
    Cidr(IpNet),
    /// All pods of a namespace.
    Namespace(String),
}

impl Peer {
    /// Reads a CIDR as `allow.cidrs` writes it.
    pub(super) fn cidr(written: &str) -> Result<Peer, ConfigError> {
        let help = "write a network such as `10.20.0.0/16` or `fd00:20::/32`";
        let network: IpNet = written
            .parse()
            .map_err(|_| ConfigError::new(format!("`{written}` is no CIDR")).help(help))?;
        if network.trunc() != network {
            let fix = format!("write `{}`", network.trunc());
            return Err(
                ConfigError::new(format!("`{written}` has bits behind its prefix")).help(fix)
            );
        }
        if network.prefix_len() == 0 {
            let why = format!("`{written}` is every address: that would isolate nothing");
            return Err(ConfigError::new(why).help(help));
        }
        Ok(Peer::Cidr(network))
    }

    /// Reads a namespace's name.
    pub(super) fn namespace(written: &str) -> Result<Peer, ConfigError> {
        let is_label = (1..=63).contains(&written.len())
            && written.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !written.starts_with('-')
            && !written.ends_with('-');
        match is_label {
            true => Ok(Peer::Namespace(written.to_owned())),
            false => Err(ConfigError::new(format!("`{written}` is no namespace's name"))
                .help("write names, such as `forensics`; there are no globs here")),
        }
    }

    /// As a policy writes it.
    pub(super) fn to_policy(&self) -> NetworkPolicyPeer {
        match self {
            Peer::Cidr(network) => NetworkPolicyPeer {
                ip_block: Some(IPBlock { cidr: network.to_string(), except: None }),
                ..NetworkPolicyPeer::default()
            },
            Peer::Namespace(name) => {
                let labels = Labels::from([(NAMESPACE_NAME.to_owned(), name.clone())]);
                NetworkPolicyPeer {
                    namespace_selector: Some(LabelSelector {
                        match_labels: Some(labels),
                        ..LabelSelector::default()
                    }),
                    ..NetworkPolicyPeer::default()
                }
            }
        }
    }

    /// The entry that a policy's peer is; `None` for a peer that no allow-list can write.
    pub(super) fn of_policy(peer: &NetworkPolicyPeer) -> Option<Peer> {
        let read = match (&peer.ip_block, &peer.namespace_selector) {
            (Some(block), None) => Peer::Cidr(block.cidr.parse().ok()?),
            (None, Some(selector)) => {
                Peer::Namespace(selector.match_labels.as_ref()?.get(NAMESPACE_NAME)?.clone())
            }
            _ => return None,
        };
        (read.to_policy() == *peer).then_some(read)
    }

    /// True where everything that a policy's peer means is within this entry.
    ///
    /// `home` is the policy's own namespace, which a peer without a `namespaceSelector` means.
    pub(super) fn covers(&self, peer: &NetworkPolicyPeer, home: &str) -> bool {
        match self {
            Peer::Cidr(allowed) => {
                let network = peer.ip_block.as_ref().and_then(|block| block.cidr.parse().ok());
                network.is_some_and(|network: IpNet| allowed.contains(&network))
            }
            Peer::Namespace(allowed) => match (&peer.ip_block, &peer.namespace_selector) {
                (Some(_), _) => false,
                (None, Some(selector)) => {
                    let named = selector.match_labels.iter().flatten();
                    named.into_iter().any(|(key, name)| key == NAMESPACE_NAME && name == allowed)
                }
                (None, None) => peer.pod_selector.is_some() && home == allowed,
            },
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Cidr(network) => network.fmt(f),
            Peer::Namespace(name) => write!(f, "namespace {name}"),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    pub(in super::super) fn peer() -> impl Strategy<Value = Peer> {
        prop_oneof![
            (any::<[u8; 4]>(), 1u8..=32).prop_map(|(ip, prefix)| network(ip.into(), prefix)),
            (any::<[u8; 16]>(), 1u8..=128).prop_map(|(ip, prefix)| network(ip.into(), prefix)),
            "[a-c]".prop_map(Peer::Namespace),
        ]
    }

    fn network(ip: std::net::IpAddr, prefix: u8) -> Peer {
        Peer::Cidr(IpNet::new(ip, prefix).unwrap().trunc())
    }

    #[test]
    fn what_is_no_network_or_no_name_is_refused_with_the_fix() {
        for (written, words) in [
            ("10.0.0.1", "is no CIDR"),
            ("10.0.0.0/33", "is no CIDR"),
            ("10.0.0.1/8", "write `10.0.0.0/8`"),
            ("fd00::1/64", "write `fd00::/64`"),
            ("0.0.0.0/0", "isolate nothing"),
            ("::/0", "isolate nothing"),
            ("", "is no CIDR"),
        ] {
            let error = Peer::cidr(written).unwrap_err();
            assert!(format!("{} {}", error.message, error.help).contains(words), "{error:?}");
        }
        for written in ["", "Shop", "team-*", "-a", "a-", "a.b", &"a".repeat(64)] {
            assert!(Peer::namespace(written).is_err(), "{written}");
        }
    }

    #[test]
    fn a_peer_is_covered_only_where_all_of_it_is() {
        let cidr = |text: &str| Peer::cidr(text).unwrap();
        let name = |text: &str| Peer::namespace(text).unwrap();
        let block = |text: &str| json!({"ipBlock": {"cidr": text}});
        let of = |labels: Value| json!({"namespaceSelector": {"matchLabels": labels}});
        let table = [
            (cidr("10.0.0.0/8"), block("10.1.0.0/16"), true),
            (cidr("10.0.0.0/8"), block("10.0.0.0/8"), true),
            (cidr("10.0.0.0/8"), block("10.0.0.7/32"), true),
            (cidr("10.0.0.0/8"), block("0.0.0.0/0"), false),
            (cidr("10.0.0.0/8"), block("11.0.0.0/16"), false),
            (cidr("fd00::/8"), block("fd12::/16"), true),
            (cidr("fd00::/8"), block("10.0.0.0/8"), false),
            (cidr("10.0.0.0/8"), block("what"), false),
            (cidr("10.0.0.0/8"), json!({"podSelector": {}}), false),
            (name("forensics"), of(json!({NAMESPACE_NAME: "forensics"})), true),
            (name("forensics"), of(json!({NAMESPACE_NAME: "shop"})), false),
            (name("forensics"), of(json!({"team": "forensics"})), false),
            (name("forensics"), json!({"namespaceSelector": {}}), false),
            (name("shop"), json!({"podSelector": {"matchLabels": {"app": "db"}}}), true),
            (name("forensics"), json!({"podSelector": {}}), false),
            (name("shop"), json!({}), false),
            (name("shop"), block("10.0.0.0/8"), false),
        ];
        for (allowed, peer, covered) in table {
            let read = serde_json::from_value(peer.clone()).unwrap();
            assert_eq!(allowed.covers(&read, "shop"), covered, "{allowed} {peer}");
        }
    }

    proptest! {
        #[test]
        fn an_entry_is_read_back_as_it_was_written_and_covers_itself(peer in peer()) {
            let written = peer.to_policy();
            prop_assert!(peer.covers(&written, "elsewhere"));
            prop_assert_eq!(Peer::of_policy(&written), Some(peer));
        }
    }
}
