//! What the results of the test at `/check` mean.
//!
//! Pure and total. The script of the page measures and names each result by [`Fact::code`]; the
//! server draws the page with the [`Finding`] of every fact and the [`Summary`] of every set of
//! conditions. So every rule is here, and the script has none.

/// How well a step or the whole test went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Works as it should.
    Good,
    /// Works with limits, or in another way.
    Limited,
    /// Does not work.
    Bad,
    /// Not tested, or not offered by this server.
    Unknown,
}

impl Verdict {
    /// The name in the page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Limited => "limited",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }
}

listed_enum! {
    /// A step of the test, in the order of the page.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Step {
        /// `ping` and `pong` over `/ws`.
        Socket,
        /// `ping` and `pong` over `/poll`.
        Poll,
        /// The median time between `ping` and `pong`.
        RoundTrip,
        /// A peer connection to the SFU over UDP.
        Udp,
        /// A peer connection to the SFU over TCP (RFC 6544).
        Tcp,
        /// Bytes through the relay, reached over UDP (RFC 8656).
        TurnUdp,
        /// Bytes through the relay, reached over TCP.
        TurnTcp,
        /// Bytes through the relay, reached over TLS.
        TurnTls,
        /// Bytes from the server in three seconds.
        Download,
        /// Bytes to the server in three seconds.
        Upload,
        /// The level of the microphone.
        Microphone,
        /// A picture of the camera.
        Camera,
        /// A sound that the person hears.
        Speaker,
    }
}

impl Step {
    /// The name in codes and in the page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Poll => "poll",
            Self::RoundTrip => "round_trip",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::TurnUdp => "turn_udp",
            Self::TurnTcp => "turn_tcp",
            Self::TurnTls => "turn_tls",
            Self::Download => "download",
            Self::Upload => "upload",
            Self::Microphone => "microphone",
            Self::Camera => "camera",
            Self::Speaker => "speaker",
        }
    }

    /// Whether the step tests a device, which the person starts by its own button.
    pub const fn is_device(self) -> bool {
        match self {
            Self::Microphone | Self::Camera | Self::Speaker => true,
            Self::Socket
            | Self::Poll
            | Self::RoundTrip
            | Self::Udp
            | Self::Tcp
            | Self::TurnUdp
            | Self::TurnTcp
            | Self::TurnTls
            | Self::Download
            | Self::Upload => false,
        }
    }
}

/// Declares the results of a step, each with its name in codes.
macro_rules! results {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal,)+ }) => {
        listed_enum! {
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
            pub enum $name {
                $($(#[$variant_doc])* $variant,)+
            }
        }

        impl $name {
            /// The name in codes.
            const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }
        }
    };
}

results! {
    /// A connection for messages: `/ws` or `/poll`.
    ConnectionResult {
        /// The `pong` arrived.
        Works = "works",
        /// The server refuses it for a limit of connections.
        Busy = "busy",
        /// The server refuses the address of this page.
        Foreign = "foreign",
        /// The server would accept it, and it does not come about.
        Blocked = "blocked",
        /// The server does not answer plain requests either.
        Unreachable = "unreachable",
        /// The browser has no such function.
        Missing = "missing",
    }
}

results! {
    /// A peer connection to the SFU.
    PathResult {
        /// ICE and DTLS are done.
        Connected = "connected",
        /// ICE found no path: no packets arrive.
        NoIcePath = "no_path",
        /// ICE found a path, and the DTLS handshake is not complete.
        NoDtls = "no_dtls",
        /// The browser has no `RTCPeerConnection`.
        NoWebRtc = "no_webrtc",
        /// The server made no test connection.
        Refused = "refused",
    }
}

results! {
    /// Two connections of this page to each other, through the relay only.
    RelayResult {
        /// Every byte came back.
        Relays = "relays",
        /// The relay gave no address: it was not reached, or refused.
        NoAddress = "no_address",
        /// The relay gave addresses, and the bytes did not come back.
        NoBytes = "no_bytes",
        /// The server names no relay of this kind.
        NotOffered = "not_offered",
        /// The browser has no `RTCPeerConnection`.
        NoWebRtc = "no_webrtc",
    }
}

results! {
    /// A round-trip time.
    DelayResult {
        /// The time is below [`DELAY_GOOD_MS`].
        Short = "short",
        /// The time is below [`DELAY_FAIR_MS`].
        Fair = "fair",
        /// Longer than fair.
        Long = "long",
        /// No `pong` arrived.
        Unmeasured = "unmeasured",
    }
}

results! {
    /// A bandwidth in one direction.
    RateResult {
        /// At least [`RATE_AMPLE_KBPS`].
        Ample = "ample",
        /// At least [`RATE_ENOUGH_KBPS`].
        Enough = "enough",
        /// At least [`RATE_SOUND_KBPS`].
        SoundOnly = "sound_only",
        /// Less than sound needs.
        TooLittle = "too_little",
        /// The server gave no bytes, or none arrived.
        Unmeasured = "unmeasured",
    }
}

results! {
    /// A microphone or a camera.
    CaptureResult {
        /// It delivers sound or pictures.
        Works = "works",
        /// It delivers digital silence or no picture.
        Silent = "silent",
        /// The person, the browser or the system denies it.
        Denied = "denied",
        /// There is none.
        NotFound = "not_found",
        /// Another program has it.
        InUse = "in_use",
        /// Browsers give devices to pages of TLS or of this machine only.
        Insecure = "insecure",
        /// The browser has no such function.
        Missing = "missing",
        /// The question was not answered.
        NoAnswer = "no_answer",
        /// Any other error.
        Failed = "failed",
    }
}

results! {
    /// A sound that the page played.
    SpeakerResult {
        /// The person heard it.
        Heard = "heard",
        /// The person did not hear it.
        NotHeard = "not_heard",
        /// The browser did not play it.
        Blocked = "blocked",
    }
}

/// Round trips below this time are not noticed in a conversation, as [`crate::protocol::Quality`].
pub const DELAY_GOOD_MS: u32 = 150;
/// Round trips above this time make people interrupt each other.
pub const DELAY_FAIR_MS: u32 = 300;
/// Bandwidth for several large pictures: a camera of 720p takes 1.7 Mbit/s.
pub const RATE_AMPLE_KBPS: u32 = 3_000;
/// Bandwidth for small pictures: a camera of 180p takes 150 kbit/s, sound 40 kbit/s.
pub const RATE_ENOUGH_KBPS: u32 = 600;
/// Bandwidth for sound: Opus with its redundancy and headers.
pub const RATE_SOUND_KBPS: u32 = 80;

impl DelayResult {
    /// The results by the time, in ms: the first one whose limit is above the time.
    pub const LIMITS_MS: [(u32, Self); 3] = [
        (DELAY_GOOD_MS, Self::Short),
        (DELAY_FAIR_MS, Self::Fair),
        (u32::MAX, Self::Long),
    ];
}

impl RateResult {
    /// The results by the rate, in kbit/s: the first one whose limit the rate reaches.
    pub const LIMITS_KBPS: [(u32, Self); 4] = [
        (RATE_AMPLE_KBPS, Self::Ample),
        (RATE_ENOUGH_KBPS, Self::Enough),
        (RATE_SOUND_KBPS, Self::SoundOnly),
        (0, Self::TooLittle),
    ];
}

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fact {
    /// A result of [`Step::Socket`].
    Socket(ConnectionResult),
    /// A result of [`Step::Poll`].
    Poll(ConnectionResult),
    /// A result of [`Step::RoundTrip`].
    RoundTrip(DelayResult),
    /// A result of [`Step::Udp`].
    Udp(PathResult),
    /// A result of [`Step::Tcp`].
    Tcp(PathResult),
    /// A result of [`Step::TurnUdp`].
    TurnUdp(RelayResult),
    /// A result of [`Step::TurnTcp`].
    TurnTcp(RelayResult),
    /// A result of [`Step::TurnTls`].
    TurnTls(RelayResult),
    /// A result of [`Step::Download`].
    Download(RateResult),
    /// A result of [`Step::Upload`].
    Upload(RateResult),
    /// A result of [`Step::Microphone`].
    Microphone(CaptureResult),
    /// A result of [`Step::Camera`].
    Camera(CaptureResult),
    /// A result of [`Step::Speaker`].
    Speaker(SpeakerResult),
}

impl Fact {
    /// Every result of a step.
    pub fn all_of(step: Step) -> Vec<Self> {
        match step {
            Step::Socket => ConnectionResult::ALL.map(Self::Socket).to_vec(),
            Step::Poll => ConnectionResult::ALL.map(Self::Poll).to_vec(),
            Step::RoundTrip => DelayResult::ALL.map(Self::RoundTrip).to_vec(),
            Step::Udp => PathResult::ALL.map(Self::Udp).to_vec(),
            Step::Tcp => PathResult::ALL.map(Self::Tcp).to_vec(),
            Step::TurnUdp => RelayResult::ALL.map(Self::TurnUdp).to_vec(),
            Step::TurnTcp => RelayResult::ALL.map(Self::TurnTcp).to_vec(),
            Step::TurnTls => RelayResult::ALL.map(Self::TurnTls).to_vec(),
            Step::Download => RateResult::ALL.map(Self::Download).to_vec(),
            Step::Upload => RateResult::ALL.map(Self::Upload).to_vec(),
            Step::Microphone => CaptureResult::ALL.map(Self::Microphone).to_vec(),
            Step::Camera => CaptureResult::ALL.map(Self::Camera).to_vec(),
            Step::Speaker => SpeakerResult::ALL.map(Self::Speaker).to_vec(),
        }
    }

    /// The name of the result within its step.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Socket(result) | Self::Poll(result) => result.name(),
            Self::RoundTrip(result) => result.name(),
            Self::Udp(result) | Self::Tcp(result) => result.name(),
            Self::TurnUdp(result) | Self::TurnTcp(result) | Self::TurnTls(result) => result.name(),
            Self::Download(result) | Self::Upload(result) => result.name(),
            Self::Microphone(result) | Self::Camera(result) => result.name(),
            Self::Speaker(result) => result.name(),
        }
    }

    /// What the fact means.
    pub const fn finding(self) -> Finding {
        match self {
            Self::Socket(result) => match result {
                ConnectionResult::Works => Finding::SocketWorks,
                ConnectionResult::Busy => Finding::ConnectionBusy,
                ConnectionResult::Foreign => Finding::ConnectionForeign,
                ConnectionResult::Blocked => Finding::SocketBlocked,
                ConnectionResult::Unreachable => Finding::ServerUnreachable,
                ConnectionResult::Missing => Finding::SocketMissing,
            },
            Self::Poll(result) => match result {
                ConnectionResult::Works => Finding::PollWorks,
                ConnectionResult::Busy => Finding::ConnectionBusy,
                ConnectionResult::Foreign => Finding::ConnectionForeign,
                ConnectionResult::Blocked | ConnectionResult::Missing => Finding::PollBlocked,
                ConnectionResult::Unreachable => Finding::ServerUnreachable,
            },
            Self::RoundTrip(result) => match result {
                DelayResult::Short => Finding::DelayShort,
                DelayResult::Fair => Finding::DelayFair,
                DelayResult::Long => Finding::DelayLong,
                DelayResult::Unmeasured => Finding::Unmeasured,
            },
            Self::Udp(result) => match result {
                PathResult::Connected => Finding::UdpWorks,
                PathResult::NoIcePath => Finding::UdpBlocked,
                PathResult::NoDtls => Finding::NoDtls,
                PathResult::NoWebRtc => Finding::NoWebRtc,
                PathResult::Refused => Finding::MediaUntested,
            },
            Self::Tcp(result) => match result {
                PathResult::Connected => Finding::TcpWorks,
                PathResult::NoIcePath => Finding::TcpBlocked,
                PathResult::NoDtls => Finding::NoDtls,
                PathResult::NoWebRtc => Finding::NoWebRtc,
                PathResult::Refused => Finding::MediaUntested,
            },
            Self::TurnUdp(result) | Self::TurnTcp(result) | Self::TurnTls(result) => match result {
                RelayResult::Relays => Finding::RelayWorks,
                RelayResult::NoAddress => Finding::RelayUnreachable,
                RelayResult::NoBytes => Finding::RelayLosesBytes,
                RelayResult::NotOffered => Finding::RelayNotOffered,
                RelayResult::NoWebRtc => Finding::NoWebRtc,
            },
            Self::Download(result) => match result {
                RateResult::Ample => Finding::DownloadAmple,
                RateResult::Enough => Finding::DownloadEnough,
                RateResult::SoundOnly => Finding::DownloadSoundOnly,
                RateResult::TooLittle => Finding::TooSlow,
                RateResult::Unmeasured => Finding::Unmeasured,
            },
            Self::Upload(result) => match result {
                RateResult::Ample => Finding::UploadAmple,
                RateResult::Enough => Finding::UploadEnough,
                RateResult::SoundOnly => Finding::UploadSoundOnly,
                RateResult::TooLittle => Finding::TooSlow,
                RateResult::Unmeasured => Finding::Unmeasured,
            },
            Self::Microphone(result) => match result {
                CaptureResult::Works => Finding::MicrophoneWorks,
                CaptureResult::Silent => Finding::MicrophoneSilent,
                CaptureResult::Denied => Finding::MicrophoneDenied,
                CaptureResult::NotFound => Finding::MicrophoneNotFound,
                CaptureResult::InUse => Finding::DeviceInUse,
                CaptureResult::Insecure => Finding::DevicesInsecure,
                CaptureResult::Missing => Finding::DevicesMissing,
                CaptureResult::NoAnswer => Finding::DeviceUnanswered,
                CaptureResult::Failed => Finding::DeviceFailed,
            },
            Self::Camera(result) => match result {
                CaptureResult::Works => Finding::CameraWorks,
                CaptureResult::Silent => Finding::CameraDark,
                CaptureResult::Denied => Finding::CameraDenied,
                CaptureResult::NotFound => Finding::CameraNotFound,
                CaptureResult::InUse => Finding::DeviceInUse,
                CaptureResult::Insecure => Finding::DevicesInsecure,
                CaptureResult::Missing => Finding::DevicesMissing,
                CaptureResult::NoAnswer => Finding::DeviceUnanswered,
                CaptureResult::Failed => Finding::DeviceFailed,
            },
            Self::Speaker(result) => match result {
                SpeakerResult::Heard => Finding::SpeakerHeard,
                SpeakerResult::NotHeard => Finding::SpeakerNotHeard,
                SpeakerResult::Blocked => Finding::SpeakerBlocked,
            },
        }
    }

    /// The conditions that the fact establishes or rules out.
    pub fn evidence(self) -> Evidence {
        use Condition::{Carries, Relay, Server, Stream, Tested, Udp, WebRtc};
        match self {
            Self::Socket(ConnectionResult::Works) | Self::Poll(ConnectionResult::Works) => {
                Evidence::proves(Server)
            }
            Self::Udp(PathResult::Connected) => Evidence::proves(Udp),
            Self::TurnUdp(RelayResult::Relays) => Evidence::proves(Relay),
            Self::Tcp(PathResult::Connected)
            | Self::TurnTcp(RelayResult::Relays)
            | Self::TurnTls(RelayResult::Relays) => Evidence::proves(Stream),
            Self::Udp(PathResult::NoWebRtc) | Self::Tcp(PathResult::NoWebRtc) => {
                Evidence::disproves(WebRtc)
            }
            Self::Udp(PathResult::Refused) | Self::Tcp(PathResult::Refused) => {
                Evidence::disproves(Tested)
            }
            Self::Download(RateResult::TooLittle) | Self::Upload(RateResult::TooLittle) => {
                Evidence::disproves(Carries)
            }
            Self::Socket(_)
            | Self::Poll(_)
            | Self::RoundTrip(_)
            | Self::Udp(PathResult::NoIcePath | PathResult::NoDtls)
            | Self::Tcp(PathResult::NoIcePath | PathResult::NoDtls)
            | Self::TurnUdp(_)
            | Self::TurnTcp(_)
            | Self::TurnTls(_)
            | Self::Download(_)
            | Self::Upload(_)
            | Self::Microphone(_)
            | Self::Camera(_)
            | Self::Speaker(_) => Evidence::default(),
        }
    }
}

listed_enum! {
    /// What a fact means: one sentence, and one of advice.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Finding {
        /// Messages arrive over the WebSocket.
        SocketWorks,
        /// Something between blocks the WebSocket.
        SocketBlocked,
        /// The browser has no WebSocket.
        SocketMissing,
        /// Messages arrive over long-polling.
        PollWorks,
        /// Long-polling does not work.
        PollBlocked,
        /// A limit of connections is reached.
        ConnectionBusy,
        /// The server does not take this page for its own.
        ConnectionForeign,
        /// The server does not answer.
        ServerUnreachable,
        /// The delay is not noticed.
        DelayShort,
        /// The delay is noticed.
        DelayFair,
        /// The delay disturbs.
        DelayLong,
        /// Nothing could be measured.
        Unmeasured,
        /// Media gets through over UDP.
        UdpWorks,
        /// No packet gets through over UDP.
        UdpBlocked,
        /// Media gets through over TCP.
        TcpWorks,
        /// No connection for media over TCP.
        TcpBlocked,
        /// Packets get through, and the keys are not agreed on.
        NoDtls,
        /// The browser has no WebRTC.
        NoWebRtc,
        /// The server made no test connection.
        MediaUntested,
        /// Bytes go through the relay and come back.
        RelayWorks,
        /// The relay is not reached in this way.
        RelayUnreachable,
        /// The relay is reached, and bytes do not come back.
        RelayLosesBytes,
        /// The server offers no relay of this kind.
        RelayNotOffered,
        /// Enough for large pictures of others.
        DownloadAmple,
        /// Enough for small pictures of others.
        DownloadEnough,
        /// Enough for the sound of others.
        DownloadSoundOnly,
        /// Enough for a large picture of this person.
        UploadAmple,
        /// Enough for a small picture of this person.
        UploadEnough,
        /// Enough for the sound of this person.
        UploadSoundOnly,
        /// Less than sound needs.
        TooSlow,
        /// The microphone delivers sound.
        MicrophoneWorks,
        /// The microphone delivers digital silence.
        MicrophoneSilent,
        /// The microphone is denied.
        MicrophoneDenied,
        /// There is no microphone.
        MicrophoneNotFound,
        /// The camera delivers pictures.
        CameraWorks,
        /// The camera delivers no picture.
        CameraDark,
        /// The camera is denied.
        CameraDenied,
        /// There is no camera.
        CameraNotFound,
        /// Another program has the device.
        DeviceInUse,
        /// The page is not secure, so the browser gives no device.
        DevicesInsecure,
        /// The browser gives devices to no page.
        DevicesMissing,
        /// The browser's question was not answered.
        DeviceUnanswered,
        /// The device could not be started.
        DeviceFailed,
        /// The person heard the sound.
        SpeakerHeard,
        /// The person did not hear the sound.
        SpeakerNotHeard,
        /// The browser played no sound.
        SpeakerBlocked,
    }
}

impl Finding {
    /// How well the step went.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::SocketWorks
            | Self::PollWorks
            | Self::DelayShort
            | Self::UdpWorks
            | Self::TcpWorks
            | Self::RelayWorks
            | Self::DownloadAmple
            | Self::UploadAmple
            | Self::MicrophoneWorks
            | Self::CameraWorks
            | Self::SpeakerHeard => Verdict::Good,
            Self::ConnectionBusy
            | Self::DelayFair
            | Self::DownloadEnough
            | Self::UploadEnough
            | Self::DownloadSoundOnly
            | Self::UploadSoundOnly => Verdict::Limited,
            Self::SocketBlocked
            | Self::SocketMissing
            | Self::PollBlocked
            | Self::ConnectionForeign
            | Self::ServerUnreachable
            | Self::DelayLong
            | Self::UdpBlocked
            | Self::TcpBlocked
            | Self::NoDtls
            | Self::NoWebRtc
            | Self::RelayUnreachable
            | Self::RelayLosesBytes
            | Self::TooSlow
            | Self::MicrophoneSilent
            | Self::MicrophoneDenied
            | Self::MicrophoneNotFound
            | Self::CameraDark
            | Self::CameraDenied
            | Self::CameraNotFound
            | Self::DeviceInUse
            | Self::DevicesInsecure
            | Self::DevicesMissing
            | Self::DeviceUnanswered
            | Self::DeviceFailed
            | Self::SpeakerNotHeard
            | Self::SpeakerBlocked => Verdict::Bad,
            Self::Unmeasured | Self::MediaUntested | Self::RelayNotOffered => Verdict::Unknown,
        }
    }
}

listed_enum! {
    /// What the summary depends on; each is a bit of [`Conditions`].
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Condition {
        /// Messages arrive, over either transport.
        Server,
        /// The browser has WebRTC.
        WebRtc,
        /// The server made every test connection.
        Tested,
        /// Media gets through over UDP.
        Udp,
        /// The relay is reached over UDP.
        Relay,
        /// Media or the relay is reached over TCP.
        Stream,
        /// The bandwidth carries sound.
        Carries,
    }
}

impl Condition {
    /// The bit of the condition.
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The conditions that a fact sets and clears, as bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Conditions that hold by this fact.
    pub proves: u8,
    /// Conditions that do not hold because of this fact.
    pub disproves: u8,
}

impl Evidence {
    /// Evidence that a condition holds.
    const fn proves(condition: Condition) -> Self {
        Self {
            proves: condition.bit(),
            disproves: 0,
        }
    }

    /// Evidence that a condition does not hold.
    const fn disproves(condition: Condition) -> Self {
        Self {
            proves: 0,
            disproves: condition.bit(),
        }
    }
}

/// A set of [`Condition`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions(pub u8);

impl Conditions {
    /// The number of sets.
    pub const COUNT: u8 = 1 << Condition::ALL.len();
    /// The set without any fact: what only a fact can disprove.
    pub const START: Self =
        Self(Condition::WebRtc.bit() | Condition::Tested.bit() | Condition::Carries.bit());

    /// The conditions of a test: what some fact proves and no fact disproves.
    pub fn of(facts: &[Fact]) -> Self {
        let (mut proved, mut disproved) = (Self::START.0, 0);
        for evidence in facts.iter().map(|fact| fact.evidence()) {
            proved |= evidence.proves;
            disproved |= evidence.disproves;
        }
        Self(proved & !disproved)
    }

    /// Whether a condition holds.
    const fn has(self, condition: Condition) -> bool {
        self.0 & condition.bit() != 0
    }

    /// The summary of the test.
    pub const fn summary(self) -> Summary {
        let (udp, relay) = (self.has(Condition::Udp), self.has(Condition::Relay));
        let media = udp || relay || self.has(Condition::Stream);
        match () {
            () if !self.has(Condition::Server) => Summary::Unreachable,
            () if !self.has(Condition::WebRtc) => Summary::ChatOnly,
            () if !media && self.has(Condition::Tested) => Summary::NoMedia,
            () if !media => Summary::Untested,
            () if !self.has(Condition::Carries) => Summary::TooSlow,
            () if udp => Summary::Ready,
            () if relay => Summary::Relayed,
            () => Summary::OverTcp,
        }
    }
}

listed_enum! {
    /// The result of the whole test of the connection.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Summary {
        /// Calls work over UDP.
        Ready,
        /// Calls work through the relay.
        Relayed,
        /// Calls work over TCP only.
        OverTcp,
        /// Media gets through, and the bandwidth does not carry sound.
        TooSlow,
        /// Chat works, and no media gets through.
        NoMedia,
        /// Chat works, and the browser makes no calls.
        ChatOnly,
        /// Chat works, and calls could not be tested.
        Untested,
        /// No message arrives.
        Unreachable,
    }
}

impl Summary {
    /// The name in the page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Relayed => "relayed",
            Self::OverTcp => "over_tcp",
            Self::TooSlow => "too_slow",
            Self::NoMedia => "no_media",
            Self::ChatOnly => "chat_only",
            Self::Untested => "untested",
            Self::Unreachable => "unreachable",
        }
    }

    /// How well the test went.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Ready => Verdict::Good,
            Self::Relayed | Self::OverTcp => Verdict::Limited,
            Self::TooSlow | Self::NoMedia | Self::ChatOnly | Self::Unreachable => Verdict::Bad,
            Self::Untested => Verdict::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The facts of a connection on which everything works, without a relay.
    const FINE: [Fact; 7] = [
        Fact::Socket(ConnectionResult::Works),
        Fact::Poll(ConnectionResult::Works),
        Fact::Udp(PathResult::Connected),
        Fact::Tcp(PathResult::Connected),
        Fact::TurnUdp(RelayResult::NotOffered),
        Fact::Download(RateResult::Ample),
        Fact::Upload(RateResult::Ample),
    ];

    /// The summary of [`FINE`] with these facts instead of those of the same steps.
    fn summary_with(changed: &[Fact]) -> Summary {
        let same_step = |a: &Fact, b: &Fact| std::mem::discriminant(a) == std::mem::discriminant(b);
        let kept = FINE
            .iter()
            .filter(|fact| !changed.iter().any(|other| same_step(fact, other)));
        let facts: Vec<Fact> = kept.chain(changed).copied().collect();
        Conditions::of(&facts).summary()
    }

    #[test]
    fn every_fact_has_its_own_code_within_its_step_and_every_finding_a_fact() {
        let mut findings = HashSet::new();
        for step in Step::ALL {
            let facts = Fact::all_of(step);
            let codes: HashSet<_> = facts.iter().map(|fact| fact.code()).collect();
            assert_eq!(codes.len(), facts.len(), "{}", step.name());
            assert!(
                facts
                    .iter()
                    .any(|fact| fact.finding().verdict() == Verdict::Good)
            );
            assert!(
                facts
                    .iter()
                    .any(|fact| fact.finding().verdict() == Verdict::Bad)
            );
            findings.extend(facts.iter().map(|fact| fact.finding()));
        }
        assert_eq!(findings.len(), Finding::ALL.len());
    }

    #[test]
    fn calls_are_said_to_work_only_where_media_gets_through() {
        assert_eq!(summary_with(&[]), Summary::Ready);
        let no_udp = Fact::Udp(PathResult::NoIcePath);
        let no_tcp = Fact::Tcp(PathResult::NoIcePath);
        assert_eq!(summary_with(&[no_udp]), Summary::OverTcp);
        assert_eq!(summary_with(&[no_udp, no_tcp]), Summary::NoMedia);
        let keys = [Fact::Udp(PathResult::NoDtls), Fact::Tcp(PathResult::NoDtls)];
        assert_eq!(summary_with(&keys), Summary::NoMedia);
        let relay = Fact::TurnUdp(RelayResult::Relays);
        assert_eq!(summary_with(&[no_udp, relay]), Summary::Relayed);
        for by in [Fact::TurnTcp, Fact::TurnTls] {
            let relay = by(RelayResult::Relays);
            assert_eq!(summary_with(&[no_udp, no_tcp, relay]), Summary::OverTcp);
            let dead = by(RelayResult::NoBytes);
            assert_eq!(summary_with(&[no_udp, no_tcp, dead]), Summary::NoMedia);
        }
    }

    #[test]
    fn one_working_transport_is_enough_for_chat_and_none_is_said_first() {
        let no_socket = Fact::Socket(ConnectionResult::Blocked);
        let no_poll = Fact::Poll(ConnectionResult::Unreachable);
        assert_eq!(summary_with(&[no_socket]), Summary::Ready);
        assert_eq!(summary_with(&[no_poll]), Summary::Ready);
        assert_eq!(summary_with(&[no_socket, no_poll]), Summary::Unreachable);
    }

    #[test]
    fn what_was_not_tested_is_not_said_to_be_blocked() {
        let refused = [
            Fact::Udp(PathResult::Refused),
            Fact::Tcp(PathResult::Refused),
        ];
        assert_eq!(summary_with(&refused), Summary::Untested);
        assert_eq!(summary_with(&refused[..1]), Summary::OverTcp);
        let missing = [
            Fact::Udp(PathResult::NoWebRtc),
            Fact::Tcp(PathResult::NoWebRtc),
        ];
        assert_eq!(summary_with(&missing), Summary::ChatOnly);
    }

    #[test]
    fn a_line_that_does_not_carry_sound_is_too_slow_for_calls() {
        for slow in [
            Fact::Upload(RateResult::TooLittle),
            Fact::Download(RateResult::TooLittle),
        ] {
            assert_eq!(summary_with(&[slow]), Summary::TooSlow);
        }
        assert_eq!(
            summary_with(&[Fact::Upload(RateResult::SoundOnly)]),
            Summary::Ready
        );
        let unknown = Fact::Download(RateResult::Unmeasured);
        assert_eq!(summary_with(&[unknown]), Summary::Ready);
    }

    #[test]
    fn every_set_of_conditions_has_a_summary_and_every_summary_a_set() {
        let sets = (0..Conditions::COUNT).map(Conditions);
        let summaries: HashSet<_> = sets.map(Conditions::summary).collect();
        assert_eq!(summaries.len(), Summary::ALL.len());
    }

    #[test]
    fn devices_do_not_change_the_summary_of_the_connection() {
        for step in Step::ALL.into_iter().filter(|step| step.is_device()) {
            for fact in Fact::all_of(step) {
                assert_eq!(fact.evidence(), Evidence::default());
            }
        }
    }

    #[test]
    fn limits_of_delays_rise_and_limits_of_rates_fall_to_nothing() {
        assert!(DelayResult::LIMITS_MS.is_sorted_by_key(|(limit, _)| *limit));
        assert!(
            RateResult::LIMITS_KBPS
                .iter()
                .rev()
                .is_sorted_by_key(|(limit, _)| *limit)
        );
        assert_eq!(RateResult::LIMITS_KBPS[3].0, 0, "every rate has a result");
    }
}
