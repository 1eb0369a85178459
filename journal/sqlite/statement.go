package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
)

// statement is a prepared statement that is called through the driver's own interface: database/sql would copy and check every argument on its way, which costs as much as the insertion of a record does.
// Only one goroutine may use it.
type statement struct {
	conn *sql.Conn
	call driver.Stmt
	args []driver.NamedValue
}

// prepare prepares a query with a number of arguments.
func prepare(conn *sql.Conn, query string, args int) (*statement, error) {
	s := &statement{conn: conn, args: make([]driver.NamedValue, args)}
	for i := range s.args {
		s.args[i].Ordinal = i + 1
	}
	err := conn.Raw(func(c any) (err error) {
		s.call, err = c.(driver.Conn).Prepare(query)
		return err
	})
	return s, err
}

// exec runs the statement with what stands in args.
func (s *statement) exec(ctx context.Context) error {
	return s.conn.Raw(func(any) error {
		_, err := s.call.(driver.StmtExecContext).ExecContext(ctx, s.args)
		return err
	})
}

func (s *statement) close() {
	s.conn.Raw(func(any) error { return s.call.Close() })
}

const (
	// columns is how many values a record has in its table.
	columns = 5
	// together is how many records one statement adds where there are as many. Beyond, finding the arguments takes the driver longer than a call of the statement does.
	together = 8
)

// insertion is the query that adds rows. With FAIL rather than ABORT SQLite need not be ready to take single rows back; whoever meets an error takes the whole transaction back.
func insertion(rows int) string {
	const row = "(?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT))" // so that the texts can be given as bytes
	return "INSERT OR FAIL INTO records (session, seq, hash, head, body) VALUES " + row + strings.Repeat(", "+row, rows-1)
}

// insert adds links to the table of records in their order, inside a transaction. Where it fails some of them may be there.
func (w *writer) insert(ctx context.Context, links []link) error {
	for len(links) > 0 {
		st, rows := w.one, 1
		if len(links) >= together {
			st, rows = w.many, together
		}
		for i := range links[:rows] {
			e, at := &links[i].Entry, st.args[i*columns:]
			at[0].Value, at[1].Value, at[2].Value, at[3].Value, at[4].Value = e.Session, int64(e.Seq), e.Hash[:], []byte(e.Head), []byte(e.Body)
		}
		if err := st.exec(ctx); err != nil {
			return err
		}
		links = links[rows:]
	}
	return nil
}
