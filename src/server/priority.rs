//! The priority of threads that render pages.
//!
//! To render a page costs a hundred times as much as to forward a message. Linux gives all threads
//! the same share, so without a lower priority a flood of page requests would slow chat and calls.

/// The nice value of a thread that renders pages. 10: about a tenth of the CPU time of a network
/// thread on a busy core, and all of it on an idle one.
#[cfg(target_os = "linux")]
const PAGES: i32 = 10;

/// Lowers the priority of the calling thread. Linux only: other systems have priorities of whole
/// processes.
pub fn lower_for_pages() {
    #[cfg(target_os = "linux")]
    {
        let thread = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(thread), PAGES) {
            tracing::warn!(%error, "pages are rendered at the priority of conversations");
        }
    }
}
