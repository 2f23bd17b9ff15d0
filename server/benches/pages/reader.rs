//! Who reads the pages: a browser without scripts, signed in as the demo says.

/// Signed in.
pub struct Reader {
    http: reqwest::Client,
    base: String,
    cookie: String,
}

impl Reader {
    /// With the address and password of the line `Sign in at …`.
    pub async fn sign_in(base: &str, told: &str) -> Self {
        // Only the first benchmark of a process sets it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let line = told.lines().find(|line| line.starts_with("Sign in at")).unwrap();
        let after = |mark: &str| line.split_once(mark).unwrap().1.split(' ').next().unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let guest = Self { http, base: base.to_owned(), cookie: String::new() };
        let answer =
            guest.post("sign_in", &[("email", after(" as ")), ("password", after(" password "))]).await;
        let cookies = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
        let cookie = cookies.into_iter().find(|cookie| cookie.starts_with("af=")).unwrap();
        Self { cookie: cookie.split(';').next().unwrap().to_owned(), ..guest }
    }

    /// The same browser without its session.
    pub fn signed_out(&self) -> Self {
        Self { http: self.http.clone(), base: self.base.clone(), cookie: String::new() }
    }

    /// Sends a form; answers where it leads.
    pub async fn send(&self, form: &str, fields: &[(&str, &str)]) -> String {
        self.post(form, fields).await.headers()["location"].to_str().unwrap().to_owned()
    }

    async fn post(&self, form: &str, fields: &[(&str, &str)]) -> reqwest::Response {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.http.post(format!("{}/api/{form}", self.base)).header("origin", &self.base);
        let request = request.header("cookie", &self.cookie).header("accept", "text/html");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 303, "{form}");
        answer
    }

    async fn get(&self, page: &str) -> reqwest::Response {
        let request = self.http.get(format!("{}{page}", self.base)).header("cookie", &self.cookie);
        request.header("accept", "text/html").send().await.unwrap()
    }

    /// Whether a page is there by now.
    pub async fn finds(&self, page: &str) -> bool {
        self.get(page).await.status() == 200
    }

    /// A page's text; anything but 200 ends the benchmark.
    pub async fn open(&self, page: &str) -> String {
        let answer = self.get(page).await;
        assert_eq!(answer.status(), 200, "{page}");
        answer.text().await.unwrap()
    }

    /// Ends the benchmark where a page shows something else than its address asks for: that would be measured instead.
    pub async fn assert_shown(&self, page: &str) {
        let text = self.open(page).await;
        for mark in ["aria-invalid", ">not shown<"] {
            assert!(!text.contains(mark), "{page} cannot be shown as it is asked for: {mark}");
        }
    }

    /// The path of the workspace of that name.
    pub async fn workspace(&self, name: &str) -> String {
        let page = self.open("/").await;
        let (before, _) = page.split_once(&format!("\"><b>{name}</b></a>")).unwrap();
        before.rsplit_once("href=\"").unwrap().1.to_owned()
    }

    /// The first link on a page that begins so.
    pub async fn first_link(&self, page: &str, beginning: &str) -> String {
        let text = self.open(page).await;
        let (_, rest) = text.split_once(&format!("href=\"{beginning}")).unwrap();
        format!("{beginning}{}", rest.split('"').next().unwrap())
    }
}
