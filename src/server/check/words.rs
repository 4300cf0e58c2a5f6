//! The words of the test, in the languages of the site.

use crate::{
    i18n::{Locale, td_string},
    state::check::{Finding, Step, Summary, Verdict},
};

/// A sentence, and what one can do; the advice is empty where nothing needs doing.
pub type Words = (&'static str, &'static str);

/// What a finding means, and what one can do.
pub fn of_finding(locale: Locale, finding: Finding) -> Words {
    match finding {
        Finding::SocketWorks => (td_string!(locale, check.socket_works), ""),
        Finding::SocketBlocked => (
            td_string!(locale, check.socket_blocked),
            td_string!(locale, check.socket_blocked_do),
        ),
        Finding::SocketMissing => (
            td_string!(locale, check.socket_missing),
            td_string!(locale, check.socket_missing_do),
        ),
        Finding::PollWorks => (td_string!(locale, check.poll_works), ""),
        Finding::PollBlocked => (
            td_string!(locale, check.poll_blocked),
            td_string!(locale, check.poll_blocked_do),
        ),
        Finding::ConnectionBusy => (
            td_string!(locale, check.connection_busy),
            td_string!(locale, check.connection_busy_do),
        ),
        Finding::ConnectionForeign => (
            td_string!(locale, check.connection_foreign),
            td_string!(locale, check.connection_foreign_do),
        ),
        Finding::ServerUnreachable => (
            td_string!(locale, check.server_unreachable),
            td_string!(locale, check.server_unreachable_do),
        ),
        Finding::DelayShort => (td_string!(locale, check.delay_short), ""),
        Finding::DelayFair => (
            td_string!(locale, check.delay_fair),
            td_string!(locale, check.delay_fair_do),
        ),
        Finding::DelayLong => (
            td_string!(locale, check.delay_long),
            td_string!(locale, check.delay_long_do),
        ),
        Finding::Unmeasured => (
            td_string!(locale, check.unmeasured),
            td_string!(locale, check.unmeasured_do),
        ),
        Finding::UdpWorks => (td_string!(locale, check.udp_works), ""),
        Finding::UdpBlocked => (
            td_string!(locale, check.udp_blocked),
            td_string!(locale, check.udp_blocked_do),
        ),
        Finding::TcpWorks => (td_string!(locale, check.tcp_works), ""),
        Finding::TcpBlocked => (
            td_string!(locale, check.tcp_blocked),
            td_string!(locale, check.tcp_blocked_do),
        ),
        Finding::NoDtls => (
            td_string!(locale, check.no_dtls),
            td_string!(locale, check.no_dtls_do),
        ),
        Finding::NoWebRtc => (
            td_string!(locale, check.no_webrtc),
            td_string!(locale, check.no_webrtc_do),
        ),
        Finding::MediaUntested => (
            td_string!(locale, check.media_untested),
            td_string!(locale, check.media_untested_do),
        ),
        Finding::RelayWorks => (td_string!(locale, check.relay_works), ""),
        Finding::RelayUnreachable => (
            td_string!(locale, check.relay_unreachable),
            td_string!(locale, check.relay_unreachable_do),
        ),
        Finding::RelayLosesBytes => (
            td_string!(locale, check.relay_loses_bytes),
            td_string!(locale, check.relay_loses_bytes_do),
        ),
        Finding::RelayNotOffered => (td_string!(locale, check.relay_not_offered), ""),
        Finding::DownloadAmple => (td_string!(locale, check.download_ample), ""),
        Finding::DownloadEnough => (
            td_string!(locale, check.download_enough),
            td_string!(locale, check.download_enough_do),
        ),
        Finding::DownloadSoundOnly => (
            td_string!(locale, check.download_sound_only),
            td_string!(locale, check.download_sound_only_do),
        ),
        Finding::UploadAmple => (td_string!(locale, check.upload_ample), ""),
        Finding::UploadEnough => (
            td_string!(locale, check.upload_enough),
            td_string!(locale, check.upload_enough_do),
        ),
        Finding::UploadSoundOnly => (
            td_string!(locale, check.upload_sound_only),
            td_string!(locale, check.upload_sound_only_do),
        ),
        Finding::TooSlow => (
            td_string!(locale, check.too_slow),
            td_string!(locale, check.too_slow_do),
        ),
        Finding::MicrophoneWorks => (td_string!(locale, check.microphone_works), ""),
        Finding::MicrophoneSilent => (
            td_string!(locale, check.microphone_silent),
            td_string!(locale, check.microphone_silent_do),
        ),
        Finding::MicrophoneDenied => (
            td_string!(locale, check.microphone_denied),
            td_string!(locale, check.microphone_denied_do),
        ),
        Finding::MicrophoneNotFound => (
            td_string!(locale, check.microphone_not_found),
            td_string!(locale, check.microphone_not_found_do),
        ),
        Finding::CameraWorks => (td_string!(locale, check.camera_works), ""),
        Finding::CameraDark => (
            td_string!(locale, check.camera_dark),
            td_string!(locale, check.camera_dark_do),
        ),
        Finding::CameraDenied => (
            td_string!(locale, check.camera_denied),
            td_string!(locale, check.camera_denied_do),
        ),
        Finding::CameraNotFound => (
            td_string!(locale, check.camera_not_found),
            td_string!(locale, check.camera_not_found_do),
        ),
        Finding::DeviceInUse => (
            td_string!(locale, check.device_in_use),
            td_string!(locale, check.device_in_use_do),
        ),
        Finding::DevicesInsecure => (
            td_string!(locale, check.devices_insecure),
            td_string!(locale, check.devices_insecure_do),
        ),
        Finding::DevicesMissing => (
            td_string!(locale, check.devices_missing),
            td_string!(locale, check.devices_missing_do),
        ),
        Finding::DeviceUnanswered => (
            td_string!(locale, check.device_unanswered),
            td_string!(locale, check.device_unanswered_do),
        ),
        Finding::DeviceFailed => (
            td_string!(locale, check.device_failed),
            td_string!(locale, check.device_failed_do),
        ),
        Finding::SpeakerHeard => (td_string!(locale, check.speaker_heard), ""),
        Finding::SpeakerNotHeard => (
            td_string!(locale, check.speaker_not_heard),
            td_string!(locale, check.speaker_not_heard_do),
        ),
        Finding::SpeakerBlocked => (
            td_string!(locale, check.speaker_blocked),
            td_string!(locale, check.speaker_blocked_do),
        ),
    }
}

/// What the whole test means, and what one can do.
pub fn of_summary(locale: Locale, summary: Summary) -> Words {
    match summary {
        Summary::Ready => (td_string!(locale, check.ready), ""),
        Summary::Relayed => (
            td_string!(locale, check.relayed),
            td_string!(locale, check.relayed_do),
        ),
        Summary::OverTcp => (
            td_string!(locale, check.over_tcp),
            td_string!(locale, check.over_tcp_do),
        ),
        Summary::TooSlow => (
            td_string!(locale, check.sum_too_slow),
            td_string!(locale, check.sum_too_slow_do),
        ),
        Summary::NoMedia => (
            td_string!(locale, check.no_media),
            td_string!(locale, check.no_media_do),
        ),
        Summary::ChatOnly => (
            td_string!(locale, check.chat_only),
            td_string!(locale, check.chat_only_do),
        ),
        Summary::Untested => (
            td_string!(locale, check.untested),
            td_string!(locale, check.untested_do),
        ),
        Summary::Unreachable => (
            td_string!(locale, check.unreachable),
            td_string!(locale, check.unreachable_do),
        ),
    }
}

/// The name of a step, and what exactly is tested; devices have buttons instead.
pub fn of_step(locale: Locale, step: Step) -> Words {
    match step {
        Step::Socket => (
            td_string!(locale, check.socket),
            td_string!(locale, check.socket_how),
        ),
        Step::Poll => (
            td_string!(locale, check.poll),
            td_string!(locale, check.poll_how),
        ),
        Step::RoundTrip => (
            td_string!(locale, check.round_trip),
            td_string!(locale, check.round_trip_how),
        ),
        Step::Udp => (
            td_string!(locale, check.udp),
            td_string!(locale, check.udp_how),
        ),
        Step::Tcp => (
            td_string!(locale, check.tcp),
            td_string!(locale, check.tcp_how),
        ),
        Step::TurnUdp => (
            td_string!(locale, check.turn_udp),
            td_string!(locale, check.turn_udp_how),
        ),
        Step::TurnTcp => (
            td_string!(locale, check.turn_tcp),
            td_string!(locale, check.turn_tcp_how),
        ),
        Step::TurnTls => (
            td_string!(locale, check.turn_tls),
            td_string!(locale, check.turn_tls_how),
        ),
        Step::Download => (
            td_string!(locale, check.download),
            td_string!(locale, check.download_how),
        ),
        Step::Upload => (
            td_string!(locale, check.upload),
            td_string!(locale, check.upload_how),
        ),
        Step::Microphone => (td_string!(locale, check.microphone), ""),
        Step::Camera => (td_string!(locale, check.camera), ""),
        Step::Speaker => (td_string!(locale, check.speaker), ""),
    }
}

/// The word of a verdict.
pub fn of_verdict(locale: Locale, verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => td_string!(locale, check.good),
        Verdict::Limited => td_string!(locale, check.limited),
        Verdict::Bad => td_string!(locale, check.bad),
        Verdict::Unknown => td_string!(locale, check.unknown),
    }
}
