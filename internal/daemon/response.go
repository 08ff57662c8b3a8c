package daemon

import (
	"net/http"
	"time"
)

// response is where an answer is written. A stream has a deadline for each write, and
// none in between.
type response struct {
	http.ResponseWriter
	status  int
	begun   bool          // the caller knows the status
	timeout time.Duration // for each write of a stream, 0 if it is none
}

// WriteHeader implements http.ResponseWriter.
func (r *response) WriteHeader(status int) {
	r.status, r.begun = status, true
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *response) Write(b []byte) (int, error) {
	r.begun = true
	if err := r.deadline(r.timeout); err != nil {
		return 0, err
	}
	return r.ResponseWriter.Write(b)
}

// FlushError is what http.ResponseController calls.
func (r *response) FlushError() error {
	r.begun = true
	if err := r.deadline(r.timeout); err != nil {
		return err
	}
	if err := http.NewResponseController(r.ResponseWriter).Flush(); err != nil {
		return err
	}
	if r.timeout == 0 {
		return nil
	}
	return http.NewResponseController(r.ResponseWriter).SetWriteDeadline(time.Time{})
}

// Flush implements http.Flusher.
func (r *response) Flush() { _ = r.FlushError() } // the next write fails, too

// Unwrap is for http.ResponseController.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *response) deadline(within time.Duration) error {
	if within == 0 {
		return nil
	}
	return http.NewResponseController(r.ResponseWriter).SetWriteDeadline(time.Now().Add(within))
}
