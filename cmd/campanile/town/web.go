package town

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// maxPage bounds what the gateway's page sends or takes, in octets.
const maxPage = 64 << 20

// webPage is what phones find at the gateway's own address: something to fetch
// and somewhere to send.
func webPage(network string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "%s\n\nYou are %s, and this page came over the air.\n\n/bytes?n=N sends N octets; POST /sink takes them.\n", network, r.RemoteAddr)
	})
	mux.HandleFunc("GET /bytes", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
		if err != nil || n < 0 || n > maxPage {
			http.Error(w, fmt.Sprintf("n: want 0 to %d", maxPage), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		io.CopyN(w, pattern{}, n)
	})
	mux.HandleFunc("POST /sink", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxPage))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		fmt.Fprintf(w, "%d\n", n)
	})
	return mux
}

// pattern is an endless row of octets.
type pattern struct{}

func (pattern) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(i)
	}
	return len(b), nil
}
