//! Generates chat messages for measurements of the search index. Nine words of ten are common ones
//! by Zipf's law, the rest are names and rare words. Deterministic.

/// Common words of English chat, the most common first.
const ENGLISH: &str = "the i to you and a it is that of in we for on this have be with not are \
    can will at do but so if just was my me what there as all they your ok like one no about \
    now up from get out know how an good think would when time yes or here please more some see \
    then could did need go thanks make today tomorrow meeting should also any people want \
    really new work sure take after again back before call check code come day done email \
    every file find first fix great great help hope idea last let link little long look lunch \
    maybe message might morning never next nice number office only other over page place plan \
    problem project question read ready report right same say send server share something soon \
    sorry start still talk team tell test than them thing those though though through together \
    too try two under until update use very wait week well where which while who why without \
    working write wrong yesterday yet deployment quarterly customer account password \
    release branch review budget contract schedule presentation conference";

/// Stems of common words of Korean chat, the most common first.
const KOREAN: &str = "하 이 있 그 저 나 우리 오늘 회의 되 내일 확인 같 보 좋 자료 공유 감사하 \
    시간 일정 가 오 지금 서버 수정 문서 정말 너무 부탁드리 알 말씀 결과 테스트 팀장님 점심 \
    괜찮 먹 만나 기다리 보내 받 읽 쓰 주말 화면 오류 배포 링크 사진 파일 회의록 프로젝트 담당자 \
    시작하 끝나 필요하 가능하 궁금하 생각하 어제 다음주 이번주 장소 저녁 커피 선생님 친구 학교 \
    숙제 시험 공부 여행 비행기 기차 버스 지하철 날씨 병원 약국 은행 영화 음악 노래 게임 축구 운동 \
    아이 엄마 아빠 동생 가족 생일 선물 이사 컴퓨터 노트북 핸드폰 충전기 계약 고객 업체 예산 기획 \
    디자인 개발 마케팅 비밀번호 계정 데이터 백업 업데이트 버전 브랜치 리뷰";

/// Endings that follow a Korean stem.
const ENDINGS: &str = "는 이 가 을 를 에 에서 으로 와 도 만 까지 부터 에게 의 요 고 지만 는데 \
    어요 해요 했어요 할게요 할까요 하세요 합니다 했습니다 입니다 인가요 네요 거든요 면 려고 서 \
    니까 겠습니다 주세요";

/// One of ten words is a rare one.
const RARE: u64 = 10;

/// The language of the generated messages.
#[derive(Debug, Clone, Copy)]
pub enum Language {
    /// Words between spaces, one byte a letter.
    English,
    /// Words with endings, three bytes a syllable.
    Korean,
}

/// Generates messages of one language.
pub struct Writer {
    language: Language,
    /// Words or stems.
    words: Vec<&'static str>,
    /// The state of the pseudo-random numbers.
    state: u64,
}

impl Writer {
    /// A generator for this language, always with the same seed.
    pub fn new(language: Language) -> Self {
        let words = match language {
            Language::English => ENGLISH,
            Language::Korean => KOREAN,
        };
        Self {
            language,
            words: words.split_whitespace().collect(),
            state: 7,
        }
    }

    /// A number below `end` (splitmix64).
    fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// The rank of a word by Zipf's law: the n-th is there 1/n times as often.
    fn rank(&mut self, count: usize) -> usize {
        let share = self.below(1_000_000) as f64 / 1_000_000.0;
        let rank = (count as f64).powf(share) - 1.0;
        (rank as usize).min(count - 1)
    }

    /// A common word or stem.
    fn common(&mut self) -> &'static str {
        let rank = self.rank(self.words.len());
        self.words[rank]
    }

    /// Generates a word, one of [`RARE`] of them rare.
    fn word(&mut self) -> String {
        let rare = self.below(RARE) == 0;
        match self.language {
            Language::English if rare => {
                let syllables = 1 + self.below(3);
                (0..syllables).map(|_| self.syllable()).collect()
            }
            Language::English => self.common().to_owned(),
            Language::Korean if rare => {
                let syllables = 2 + self.below(3);
                let letter = |number: u64| char::from_u32(0xac00 + number as u32);
                let letters = (0..syllables).map(|_| letter(self.below(11_172)));
                letters.map(|letter| letter.expect("Hangul")).collect()
            }
            Language::Korean => {
                let endings: Vec<_> = ENDINGS.split_whitespace().collect();
                let stem = self.common();
                format!("{stem}{}", endings[self.rank(endings.len())])
            }
        }
    }

    /// A syllable of a rare English word.
    fn syllable(&mut self) -> String {
        let mut of = |letters: &str| {
            let at = self.below(letters.len() as u64) as usize;
            letters[at..=at].to_owned()
        };
        format!(
            "{}{}{}",
            of("bcdfghjklmnprstvwz"),
            of("aeiou"),
            of("lnrstxm")
        )
    }

    /// A message of so many words.
    pub fn message(&mut self, words: usize) -> String {
        let words: Vec<_> = (0..words).map(|_| self.word()).collect();
        words.join(" ")
    }

    /// A message as people chat: mostly short.
    pub fn chat(&mut self) -> String {
        let words = 3 + self.below(8) + self.below(2) * self.below(20);
        self.message(words as usize)
    }
}
