//! The icons: strokes on a 20 px grid, in the colour of the text.
//!
//! Icons are hidden from assistive technology; each control has a text label.

use leptos::prelude::*;

/// The icons of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IconName {
    /// A paper clip, to attach files.
    Attach,
    /// An arrow to the left.
    Back,
    /// A video camera.
    Camera,
    /// A video camera, struck out.
    CameraOff,
    /// A speech bubble.
    Chat,
    /// A cross, to close something.
    Close,
    /// An eye, to show what is typed.
    Eye,
    /// An eye, struck out.
    EyeOff,
    /// A smiling face, for emoji.
    Face,
    /// Two arrows around each other.
    Flip,
    /// A sheet of paper with a folded corner.
    File,
    /// A sheet of paper with an arrow up.
    ShareFile,
    /// An arrow to the right.
    Forward,
    /// Four corners, for full screen.
    FullScreen,
    /// A door with an arrow out.
    Leave,
    /// Two links of a chain.
    Link,
    /// A closed padlock.
    Lock,
    /// Microphone, switched on.
    Microphone,
    /// A microphone, struck out.
    MicrophoneOff,
    /// A magnifying glass.
    Search,
    /// Three dots, for more actions.
    More,
    /// A crescent, for the dark theme.
    Moon,
    /// Two people, for the list of people.
    People,
    /// A pin, to pin a participant.
    Pin,
    /// Bars of a signal.
    Signal,
    /// Waves of a sound.
    Sound,
    /// A telephone receiver, laid down.
    LeaveCall,
    /// A screen with an arrow.
    Screen,
    /// A paper plane.
    Send,
    /// Two sliders, for the settings.
    Settings,
}

impl IconName {
    /// The strokes, as SVG path data.
    const fn path(self) -> &'static str {
        match self {
            Self::FullScreen => "M3 7.5V3h4.5M12.5 3H17v4.5M17 12.5V17h-4.5M7.5 17H3v-4.5",
            Self::Pin => "M7.5 2.5h5l-.7 5.5 2.7 3h-9l2.7-3zM10 11v6.5",
            Self::Signal => "M4 16v-2m4 2v-5m4 5V8m4 8V4",
            Self::Sound => "M4 8.5v3M7 6v8m3-8.500v11M13 6v8m3-5.500v3",
            Self::Attach => {
                "M15.500 9.500l-6 6a3.500 3.500 0 0 1-5-5l7-7a2.300 2.300 0 0 1 3.300 3.300l-6.500 6.500a1 1 0 0 1-1.500-1.500l5.500-5.500"
            }
            Self::Back => "M16 10H4m5-5-5 5 5 5",
            Self::Camera => {
                "M3 6.5h9a1 1 0 0 1 1 1v5a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1v-5a1 1 0 0 1 1-1zm10 3 5-2.5v6L13 10.5"
            }
            Self::CameraOff => {
                "M3 6.5h9a1 1 0 0 1 1 1v5a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1v-5a1 1 0 0 1 1-1zm10 3 5-2.5v6L13 10.5M2.5 2.5l15 15"
            }
            Self::Chat => "M3 4.5h14v9H9l-4 3.5v-3.5H3z",
            Self::Close => "M5 5l10 10M15 5 5 15",
            Self::Eye => {
                "M2 10s3-5.500 8-5.500 8 5.500 8 5.500-3 5.500-8 5.500S2 10 2 10zM10 12.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5z"
            }
            Self::EyeOff => {
                "M2 10s3-5.500 8-5.500 8 5.500 8 5.500-3 5.500-8 5.500S2 10 2 10zM10 12.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM3.500 16.500l13-13"
            }
            Self::Face => {
                "M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15zM6.500 11.500c1.500 3 5.500 3 7 0M7.500 7.500v1M12.500 7.500v1"
            }
            Self::Flip => {
                "M4 8a6.5 6.5 0 0 1 11.5-2.5M16 2.5v3.3h-3.3M16 12a6.5 6.5 0 0 1-11.5 2.5M4 17.500v-3.300h3.300"
            }
            Self::File => "M5 2.500h7L15.500 6v11.500H5zM12 2.500V6h3.500",
            Self::ShareFile => {
                "M5 2.500h7L15.500 6v11.500H5zM10 14.500v-6M7.800 10.500 10 8.300l2.200 2.200"
            }
            Self::Forward => "M4 10h12m-5-5 5 5-5 5",
            Self::Leave => "M8 3.500H4v13h4M8 10h9m-3.500-3.500L17 10l-3.500 3.500",
            Self::Link => {
                "M8.500 11.500a3 3 0 0 0 4.300 0l3-3a3 3 0 0 0-4.300-4.300l-1 1M11.500 8.500a3 3 0 0 0-4.300 0l-3 3a3 3 0 0 0 4.300 4.300l1-1"
            }
            Self::Lock => "M4.500 9h11v8h-11zM7 9V6.500a3 3 0 0 1 6 0V9",
            Self::Microphone => {
                "M10 2.500a2.300 2.300 0 0 1 2.300 2.300v5a2.300 2.300 0 0 1-4.600 0v-5A2.300 2.300 0 0 1 10 2.500zM5 9.500a5 5 0 0 0 10 0M10 14.500v3"
            }
            Self::MicrophoneOff => {
                "M10 2.500a2.300 2.300 0 0 1 2.300 2.300v5a2.300 2.300 0 0 1-4.600 0v-5A2.300 2.300 0 0 1 10 2.500zM5 9.500a5 5 0 0 0 10 0M10 14.500v3M2.500 2.500l15 15"
            }
            Self::Search => "M9 15A6 6 0 1 0 9 3a6 6 0 0 0 0 12zM13.500 13.500 17.500 17.500",
            Self::More => "M4.500 10h.01M10 10h.01M15.500 10h.01",
            Self::Moon => "M16.500 11.800A7 7 0 1 1 8.200 3.500a5.500 5.500 0 0 0 8.300 8.300z",
            Self::People => {
                "M7.500 9.500a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2 16.500c0-3 2.500-4.500 5.500-4.500s5.500 1.500 5.500 4.500M13 9.300a2.700 2.700 0 0 0 0-5.300M15 12.300c1.900.6 3 2 3 4.200"
            }
            Self::LeaveCall => {
                "M2.500 12.500c-.8-3 2.700-5.500 7.500-5.500s8.300 2.500 7.500 5.500c-.2.800-.8 1-1.500.8l-2.500-.6c-.7-.2-1-.6-1-1.300V10a8.500 8.500 0 0 0-5 0v1.400c0 .7-.3 1.100-1 1.300l-2.500.6c-.7.2-1.300 0-1.500-.8z"
            }
            Self::Screen => {
                "M2.500 4h15v10h-15zM7 17.500h6M10 11.500v-5M7.800 8.500 10 6.300l2.200 2.200"
            }
            Self::Send => "M3 10 17 3.500 12.500 17 9.500 11zM9.500 11 17 3.500",
            Self::Settings => "M3 6.500h7M14 6.500h3M3 13.500h3M10 13.500h7M12 4.500v4M8 11.500v4",
        }
    }
}

/// Draws an icon.
#[component]
pub fn Icon(
    /// The icon to draw; may be a signal.
    #[prop(into)]
    name: Signal<IconName>,
) -> impl IntoView {
    let path = Signal::derive(move || name.get().path());
    view! {
        <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
            <path d=path></path>
        </svg>
    }
}
