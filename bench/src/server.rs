//! A server process under test: start, CPU time, memory, end.

use anyhow::{Context, Result, bail};
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// The core on which servers run.
const SERVER_CORE: &str = "0";
/// Ticks of CPU time per second (`getconf CLK_TCK`, 100 on Linux).
const TICKS: f64 = 100.0;
/// Longest wait for a server to start or to end.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// A running server. It ends when this is dropped.
pub struct Server {
    /// The child process.
    child: Child,
    /// Its process id.
    pub pid: u32,
    /// Its TCP port on loopback.
    pub port: u16,
}

/// CPU time of a process, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct CpuTime {
    /// User and system time of all threads.
    pub all: f64,
    /// CPU time of the thread that stores messages, if the server has one.
    pub store: f64,
}

impl CpuTime {
    /// The difference to an earlier time.
    pub fn since(self, then: Self) -> Self {
        Self {
            all: self.all - then.all,
            store: self.store - then.store,
        }
    }
}

impl Server {
    /// Starts a server on a free port and waits until it accepts connections. The port is in the
    /// environment as `PORT` and replaces `{port}` in arguments.
    pub async fn start(program: &str, arguments: &[String]) -> Result<Self> {
        Self::start_on(free_port()?, program, arguments).await
    }

    /// Starts a server on every core, as an operator runs it.
    pub async fn start_unpinned(program: &str, arguments: &[String]) -> Result<Self> {
        let port = free_port()?;
        Self::spawn(port, Command::new(program), arguments).await
    }

    /// Starts a server on a given port.
    pub async fn start_on(port: u16, program: &str, arguments: &[String]) -> Result<Self> {
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", SERVER_CORE, program]);
        Self::spawn(port, pinned, arguments)
            .await
            .with_context(|| format!("starting {program}"))
    }

    /// Starts a command with arguments and waits until it accepts connections.
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
        let end = Instant::now() + READY_TIMEOUT;
        while Instant::now() < end {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return Ok(());
            }
            // A foreign server sends no event when it is ready.
            sleep(Duration::from_millis(20)).await;
        }
        bail!("the server on port {} does not answer", self.port)
    }

    /// Returns its CPU time so far.
    pub fn cpu_time(&self) -> Result<CpuTime> {
        cpu_time_of(self.pid)
    }

    /// Returns its resident memory, in KiB.
    pub fn memory(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let value = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(value.context("no VmRSS")?.parse()?)
    }

    /// Kills the process and waits for its end. Clients close later, so that TIME_WAIT is on the
    /// server's port, which is not used again.
    pub async fn stop(mut self) -> Result<()> {
        self.child.start_kill()?;
        timeout(READY_TIMEOUT, self.child.wait()).await??;
        Ok(())
    }
}

/// Returns a free TCP port on loopback.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Returns the CPU time of a process so far.
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

/// User and system time in a `stat` file (proc(5), fields 14 and 15), in ticks.
fn ticks(path: &str) -> Result<f64> {
    let stat = fs::read_to_string(path)?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let fields: Vec<_> = fields.split_whitespace().collect();
    let [user, system] = [11, 12].map(|field| fields.get(field).and_then(|f| f.parse().ok()));
    let (user, system): (f64, f64) = user.zip(system).context("no times in stat")?;
    Ok(user + system)
}

/// A temporary directory that is deleted when dropped.
pub struct TempDir(PathBuf);

impl TempDir {
    /// A path in the system's temporary directory. Its user creates the directory.
    pub fn new(purpose: &str) -> Self {
        Self::within(&std::env::temp_dir(), purpose)
    }

    /// A path in a directory.
    pub fn within(parent: &Path, purpose: &str) -> Self {
        let name = format!("noom-bench-{purpose}-{}", std::process::id());
        Self(parent.join(name))
    }

    /// Path of the directory, which exists until `self` is dropped.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // It may never have been created.
        let _ = fs::remove_dir_all(&self.0);
    }
}
