//! A network namespace of a test's own, joined to this one by a link that the test can break. It needs root, and the
//! `ip`, `tc` and `nft` of Linux.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a broken link keeps from the namespace, or in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// What comes to it.
    Inwards,
    /// What comes from it.
    Outwards,
    /// Everything.
    Both,
}

/// See the module. It goes away when it is dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    /// The link's end here; the other one has the same name with an `x`.
    link: String,
    subnet: String,
}

impl Namespace {
    /// A namespace, or none where the system does not give one: said aloud, and a failure in CI.
    ///
    /// # Panics
    /// If `SYNGRAD_CI` is set and there is none.
    #[must_use]
    pub fn or_skip() -> Option<Self> {
        match Self::new() {
            Ok(namespace) => Some(namespace),
            Err(why) if std::env::var_os("SYNGRAD_CI").is_some() => panic!("no network namespace: {why}"),
            Err(why) => {
                // Not with a macro: the test harness would keep that to itself.
                let _ = writeln!(
                    io::stderr(),
                    "SKIPPED: no network namespace ({why}); it needs root, iproute2 and nftables"
                );
                None
            }
        }
    }

    fn new() -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let subnet = format!("10.{}.{}", 64 + process % 128, (process / 128 % 32) * 8 + count % 8);
        let name = format!("sg{process}n{count}");
        let namespace = Self { link: name.clone(), name, subnet };
        run("nft", &["--version"])?;
        run("tc", &["-V"])?;
        namespace.make()?;
        Ok(namespace)
    }

    fn make(&self) -> Result<(), String> {
        let Self { name, link, subnet } = self;
        let far = format!("{link}x");
        ip(&["netns", "add", name])?;
        ip(&["link", "add", link, "type", "veth", "peer", "name", &far, "netns", name])?;
        ip(&["addr", "add", &format!("{subnet}.1/30"), "dev", link])?;
        ip(&["link", "set", link, "up"])?;
        ip(&["-n", name, "addr", "add", &format!("{subnet}.2/30"), "dev", &far])?;
        ip(&["-n", name, "link", "set", &far, "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])
    }

    /// The address of this side of the link.
    #[must_use]
    pub fn near_address(&self) -> String {
        format!("{}.1", self.subnet)
    }

    /// A command that is run in the namespace.
    #[must_use]
    pub fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.name]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// Drops packets silently; nobody is told of it.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn lose(&self, what: Loss) {
        let chain = |hook: &str, interface: &str| {
            format!(
                "add chain inet fault {hook} {{ type filter hook {hook} priority 0; }}; \
                 add rule inet fault {hook} {interface} != \"lo\" drop; "
            )
        };
        let rules = match what {
            Loss::Inwards => chain("input", "iifname"),
            Loss::Outwards => chain("output", "oifname"),
            Loss::Both => chain("input", "iifname") + &chain("output", "oifname"),
        };
        self.nft(&format!("add table inet fault; {rules}"));
    }

    /// Loses nothing any more.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn heal(&self) {
        self.nft("flush ruleset");
    }

    /// Takes the link away, or gives it back.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn set_link(&self, up: bool) {
        ip(&["link", "set", &self.link, if up { "up" } else { "down" }]).expect("the link can be set");
    }

    /// Lets no more than so much through, in each direction.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn limit(&self, rate: &str) {
        let far = format!("{}x", self.link);
        let bucket = ["root", "tbf", "rate", rate, "burst", "32kb", "latency", "400ms"];
        let near = [&["qdisc", "add", "dev", &self.link][..], &bucket].concat();
        let far = [&["-n", &self.name, "qdisc", "add", "dev", &far][..], &bucket].concat();
        [near, far].iter().for_each(|arguments| run("tc", arguments).expect("tc takes a token bucket"));
    }

    fn nft(&self, rules: &str) {
        ip(&["netns", "exec", &self.name, "nft", rules]).expect("nft takes the rules");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The link goes with the namespace; what is left of a half-made one cannot be mended here.
        let _ = ip(&["netns", "del", &self.name]);
        let _ = ip(&["link", "del", &self.link]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|why| format!("{program}: {why}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim())),
    }
}
