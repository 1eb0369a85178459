package gateway

import (
	"io"
	"net/http"
)

func (s *Server) live(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }

func (s *Server) routes() []route { return nil }
