// The API of the daemon, in JSON. The token is here and nowhere else.

export class ApiError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code; // as in docs/daemon.md
  }
}

export class Api {
  #token;
  #over = new AbortController();

  constructor(token) {
    this.#token = token;
  }

  // call makes one request and gives its answer. ApiError.
  async call(method, request = {}) {
    let response;
    try {
      response = await fetch(`../rookery.api.v1.${method}`, {
        method: "POST",
        headers: { "Authorization": `Bearer ${this.#token}`, "Content-Type": "application/json" },
        body: JSON.stringify(request),
        cache: "no-store", credentials: "omit", mode: "same-origin", redirect: "error",
        signal: this.#over.signal,
      });
    } catch {
      throw new ApiError(this.#over.signal.aborted ? "canceled" : "unavailable", "The daemon does not answer.");
    }
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) {
      throw new ApiError(answer.code ?? "unknown", answer.message ?? `status ${response.status}`);
    }
    return answer;
  }

  // close forgets the token, and ends what is under way.
  close() {
    this.#token = "";
    this.#over.abort();
  }
}
