//! Which threads wait for which, where the machine is full.
//!
//! A page costs a hundred times as much as passing a message on, and there are several
//! threads that render pages beside one a core that talks. Under Linux's scheduler all of them
//! would get the same, so a flood of pages would slow every conversation.

/// The nice value of a thread that renders pages. 10: about a tenth of the time of a thread
/// that talks, where both want all of it; all of it, where nobody talks.
#[cfg(target_os = "linux")]
const PAGES: i32 = 10;

/// Lets this thread wait for those that talk. Does nothing on systems that know priorities of
/// whole processes only.
pub fn lower_for_pages() {
    #[cfg(target_os = "linux")]
    {
        let thread = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(thread), PAGES) {
            tracing::warn!(%error, "pages are rendered at the priority of conversations");
        }
    }
}
