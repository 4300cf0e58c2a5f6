//! A process under test: its start, its CPU time, its memory, its end.

use anyhow::{Context, Result, bail};
use std::{fs, net::TcpListener, process::Stdio, time::Duration};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// The core servers run on.
const SERVER_CORE: &str = "0";
/// Ticks of CPU time a second (`getconf CLK_TCK`; 100 on every Linux).
const TICKS: f64 = 100.0;
/// How long a server may take to answer.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// A running server; ends when dropped.
pub struct Server {
    /// What was started.
    child: Child,
    /// Its process.
    pub pid: u32,
    /// Where it listens, on loopback.
    pub port: u16,
}

/// CPU time a process has used, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct CpuTime {
    /// All of it, in its own code and in the kernel's.
    pub all: f64,
    /// That of the thread which stores messages, where there is one.
    pub store: f64,
}

impl CpuTime {
    /// What was used since then.
    pub fn since(self, then: Self) -> Self {
        Self {
            all: self.all - then.all,
            store: self.store - then.store,
        }
    }
}

impl Server {
    /// Starts a server on a port of its own and waits until it answers. The command is
    /// told the port as `PORT` and, with `{port}` in an argument, there.
    pub async fn start(program: &str, arguments: &[String]) -> Result<Self> {
        Self::start_on(free_port()?, program, arguments).await
    }

    /// The same on every core, as an operator runs it.
    pub async fn start_unpinned(program: &str, arguments: &[String]) -> Result<Self> {
        let port = free_port()?;
        Self::spawn(port, Command::new(program), arguments).await
    }

    /// The same on a port that the caller has to know beforehand.
    pub async fn start_on(port: u16, program: &str, arguments: &[String]) -> Result<Self> {
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", SERVER_CORE, program]);
        Self::spawn(port, pinned, arguments)
            .await
            .with_context(|| format!("starting {program}"))
    }

    /// Starts a command with these arguments and waits until it answers.
    async fn spawn(port: u16, mut command: Command, arguments: &[String]) -> Result<Self> {
        let arguments = arguments
            .iter()
            .map(|argument| argument.replace("{port}", &port.to_string()));
        let child = command
            .args(arguments)
            .env("PORT", port.to_string())
            .env("NODE_ENV", "production")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .context("starting a server")?;
        let pid = child.id().context("it has ended already")?;
        let server = Self { child, pid, port };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// Waits until the port is open.
    async fn wait_until_ready(&self) -> Result<()> {
        let end = Instant::now() + READY_WITHIN;
        while Instant::now() < end {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return Ok(());
            }
            // There is no event to wait for: the server is a stranger.
            sleep(Duration::from_millis(20)).await;
        }
        bail!("the server on port {} does not answer", self.port)
    }

    /// CPU time so far.
    pub fn cpu_time(&self) -> Result<CpuTime> {
        cpu_time_of(self.pid)
    }

    /// Resident memory, in KiB.
    pub fn memory(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let value = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(value.context("no VmRSS")?.parse()?)
    }

    /// Ends it and waits for that. Killed first, clients later: what waits for late packets
    /// then is the server's port, which is not used again.
    pub async fn stop(mut self) -> Result<()> {
        self.child.start_kill()?;
        timeout(READY_WITHIN, self.child.wait()).await??;
        Ok(())
    }
}

/// A port that is free on loopback.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// CPU time of a process so far.
pub fn cpu_time_of(pid: u32) -> Result<CpuTime> {
    let all = ticks(&format!("/proc/{pid}/stat"))? / TICKS;
    let mut store = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = task?.path().join("stat");
        let stat = stat.to_string_lossy();
        // A thread may end between the two looks.
        if fs::read_to_string(&*stat).is_ok_and(|text| text.contains("(noom-writer)")) {
            store += ticks(&stat)? / TICKS;
        }
    }
    Ok(CpuTime { all, store })
}

/// User and system time in a `stat` file (proc(5), fields 14 and 15).
fn ticks(path: &str) -> Result<f64> {
    let stat = fs::read_to_string(path)?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let fields: Vec<_> = fields.split_whitespace().collect();
    let [user, system] = [11, 12].map(|field| fields.get(field).and_then(|f| f.parse().ok()));
    let (user, system): (f64, f64) = user.zip(system).context("no times in stat")?;
    Ok(user + system)
}
