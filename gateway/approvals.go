package gateway

import (
	"context"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
)

// notifier tells those who wait for an approval that it was answered, and a webhook that one was asked for.
type notifier struct{ s *Server }

func (n *notifier) init(s *Server) { n.s = s }
func (n *notifier) close()         {}

// watch returns the approvals that guards use.
func (n *notifier) watch(a guard.Approvals) guard.Approvals { return a }

// pollApproval is how often a store is asked by whoever waits: another process may have answered.
const pollApproval = 100 * time.Millisecond

// answered waits until a request is not pending any more, or the context ends.
func (n *notifier) answered(ctx context.Context, store guard.Approvals, id string) (proviso.Approval, error) {
	tick := time.NewTicker(pollApproval)
	defer tick.Stop()
	for {
		a, err := store.Get(ctx, id)
		if err != nil || a.Status(n.s.now()) != proviso.Pending {
			return a, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return a, ctx.Err()
		}
	}
}

// approvalID is the request that an escalated decision waits for.
func approvalID(r *proviso.Record) string {
	for _, n := range r.Decision.Notices {
		if n.Rule != "approval" {
			continue
		}
		words := strings.Fields(n.Text)
		for i, w := range words {
			if w == "approval" && i+1 < len(words) {
				return words[i+1]
			}
		}
	}
	return ""
}
