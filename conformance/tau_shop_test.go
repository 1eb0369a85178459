package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
)

// The shop's records as the suite writes them, as far as the tests look into them.
type (
	address struct {
		Zip string `json:"zip"`
	}
	method struct {
		ID      string   `json:"id"`
		Source  string   `json:"source"`
		Balance *float64 `json:"balance"`
	}
	user struct {
		Name struct {
			First string `json:"first_name"`
			Last  string `json:"last_name"`
		} `json:"name"`
		Address address           `json:"address"`
		Email   string            `json:"email"`
		Methods map[string]method `json:"payment_methods"`
	}
	item struct {
		Product string  `json:"product_id"`
		ID      string  `json:"item_id"`
		Price   float64 `json:"price"`
	}
	payment struct {
		Kind   string  `json:"transaction_type"`
		Amount float64 `json:"amount"`
		Method string  `json:"payment_method_id"`
	}
	order struct {
		ID       string    `json:"order_id"`
		User     string    `json:"user_id"`
		Status   string    `json:"status"`
		Items    []item    `json:"items"`
		Payments []payment `json:"payment_history"`
	}
	variant struct {
		Available bool    `json:"available"`
		Price     float64 `json:"price"`
	}
	product struct {
		Name     string             `json:"name"`
		Variants map[string]variant `json:"variants"`
	}
)

// stock is a database as it is at the start of every task; it never changes.
type stock struct {
	orders, users, products map[string]json.RawMessage
	emails, names           map[string]string // folded e-mail address, or folded name and postal code → user id
	parsed                  map[string]product
	parsedOrders            map[string]order
	productIDs, userIDs     []string
	orderIDs                []string
}

// shop is a database in the course of one task: the stock and what was changed since.
type shop struct {
	*stock
	newOrders, newUsers map[string]json.RawMessage
}

func readStock(t testing.TB, rel string) *stock {
	t.Helper()
	s := &stock{emails: map[string]string{}, names: map[string]string{}, parsed: map[string]product{}, parsedOrders: map[string]order{}}
	testkit.Lines(t, rel, func(line []byte) {
		var db struct{ Orders, Users, Products map[string]json.RawMessage }
		must(t, json.Unmarshal(line, &db))
		s.orders, s.users, s.products = db.Orders, db.Users, db.Products
	})
	for id, raw := range s.users {
		u := parse[user](t, raw)
		s.emails[strings.ToLower(u.Email)] = id
		s.names[nameKey(u.Name.First, u.Name.Last, u.Address.Zip)] = id
	}
	for id, raw := range s.products {
		s.parsed[id] = parse[product](t, raw)
	}
	for id, raw := range s.orders {
		s.parsedOrders[id] = parse[order](t, raw)
	}
	s.productIDs = slices.Sorted(maps.Keys(s.products))
	s.userIDs = slices.Sorted(maps.Keys(s.users))
	s.orderIDs = slices.Sorted(maps.Keys(s.orders))
	return s
}

func nameKey(first, last, zip string) string {
	return strings.ToLower(first) + "\x00" + strings.ToLower(last) + "\x00" + zip
}

func (s *stock) open() *shop {
	return &shop{stock: s, newOrders: map[string]json.RawMessage{}, newUsers: map[string]json.RawMessage{}}
}

// clone returns a database that can change on its own.
func (s *shop) clone() *shop {
	return &shop{stock: s.stock, newOrders: maps.Clone(s.newOrders), newUsers: maps.Clone(s.newUsers)}
}

func (s *shop) orderJSON(id string) json.RawMessage {
	if raw, ok := s.newOrders[id]; ok {
		return raw
	}
	return s.orders[id]
}

func (s *shop) userJSON(id string) json.RawMessage {
	if raw, ok := s.newUsers[id]; ok {
		return raw
	}
	return s.users[id]
}

func (s *shop) order(t testing.TB, id string) order {
	if raw, ok := s.newOrders[id]; ok {
		return parse[order](t, raw)
	}
	return s.parsedOrders[id]
}

func (s *shop) user(t testing.TB, id string) user { return parse[user](t, s.userJSON(id)) }

// productOf returns the product of an article, empty where there is none.
func (s *stock) productOf(item string) string {
	for _, id := range s.productIDs {
		if _, ok := s.parsed[id].Variants[item]; ok {
			return id
		}
	}
	return ""
}

// setBalance gives the user a gift card of that id with that balance.
func (s *shop) setBalance(t testing.TB, userID, card string, balance float64) {
	t.Helper()
	s.editUser(t, userID, func(methods map[string]any) {
		methods[card] = map[string]any{"id": card, "source": "gift_card", "balance": balance}
	})
}

// addCreditCard stores one more credit card in the user's profile.
func (s *shop) addCreditCard(t testing.TB, userID, card string) {
	t.Helper()
	s.editUser(t, userID, func(methods map[string]any) {
		methods[card] = map[string]any{"id": card, "source": "credit_card", "brand": "visa", "last_four": "0000"}
	})
}

func (s *shop) editUser(t testing.TB, userID string, edit func(methods map[string]any)) {
	t.Helper()
	u := parse[map[string]any](t, s.userJSON(userID))
	methods, ok := u["payment_methods"].(map[string]any)
	if !ok {
		t.Fatalf("user %s: has no payment methods", userID)
	}
	edit(methods)
	s.newUsers[userID] = encode(t, u)
}

func (s *shop) setStatus(t testing.TB, orderID, status string) {
	t.Helper()
	o := parse[map[string]any](t, s.orderJSON(orderID))
	o["status"] = status
	s.newOrders[orderID] = encode(t, o)
}

// write changes the database as a recorded write did: the result replaces the order or the profile, and payments and refunds move the balances of gift cards.
func (s *shop) write(t testing.TB, w goldCall) {
	t.Helper()
	if id, ok := w.Args["user_id"].(string); ok {
		s.newUsers[id] = w.Result
		return
	}
	id := w.str("order_id")
	before, after := s.order(t, id), parse[order](t, w.Result)
	s.newOrders[id] = w.Result
	for _, p := range after.Payments[len(before.Payments):] {
		m := s.user(t, after.User).Methods[p.Method]
		if m.Source != "gift_card" || m.Balance == nil {
			continue
		}
		sign := -1.0
		if p.Kind == "refund" {
			sign = 1
		}
		s.setBalance(t, after.User, p.Method, math.Round((*m.Balance+sign*p.Amount)*100)/100)
	}
}

// reads are the suite's read tools. Each answers with JSON, or with an error that the agent sees.
var reads = map[string]func(s *shop, args map[string]any) (json.RawMessage, error){
	"find_user_id_by_email": func(s *shop, a map[string]any) (json.RawMessage, error) {
		return found(s.emails[strings.ToLower(text(a, "email"))], "user")
	},
	"find_user_id_by_name_zip": func(s *shop, a map[string]any) (json.RawMessage, error) {
		return found(s.names[nameKey(text(a, "first_name"), text(a, "last_name"), text(a, "zip"))], "user")
	},
	"get_user_details": func(s *shop, a map[string]any) (json.RawMessage, error) {
		return record(s.userJSON(text(a, "user_id")), "user")
	},
	"get_order_details": func(s *shop, a map[string]any) (json.RawMessage, error) {
		return record(s.orderJSON(text(a, "order_id")), "order")
	},
	"get_product_details": func(s *shop, a map[string]any) (json.RawMessage, error) {
		return record(s.products[text(a, "product_id")], "product")
	},
	"get_item_details": func(s *shop, a map[string]any) (json.RawMessage, error) {
		id := text(a, "item_id")
		var p struct{ Variants map[string]json.RawMessage }
		if raw := s.products[s.productOf(id)]; raw != nil {
			if err := json.Unmarshal(raw, &p); err != nil {
				return nil, err
			}
		}
		return record(p.Variants[id], "item")
	},
	"list_all_product_types": func(s *shop, _ map[string]any) (json.RawMessage, error) {
		list := map[string]string{}
		for id, p := range s.parsed {
			list[p.Name] = id
		}
		return json.Marshal(list)
	},
}

func found(id, what string) (json.RawMessage, error) {
	if id == "" {
		return nil, fmt.Errorf("%s not found", what)
	}
	return json.Marshal(id)
}

func record(raw json.RawMessage, what string) (json.RawMessage, error) {
	if raw == nil {
		return nil, fmt.Errorf("%s not found", what)
	}
	return raw, nil
}

// goldCall is one call that a right agent makes, and what the suite's own tool answered.
type goldCall struct {
	Source string
	Task   string
	I      int
	Name   string
	Args   map[string]any
	Type   string
	OK     *bool
	Result json.RawMessage
	Error  string
	// Changes are the paths of the database that the call changed, for source tau2 only.
	Changes []struct {
		Path string
		New  any
	} `json:"db_changes"`
}

func (c goldCall) str(arg string) string { return text(c.Args, arg) }

func (c goldCall) write() bool { return c.Type == "write" && c.OK != nil && *c.OK }

// task is the gold calls of one task in order.
type task struct {
	source, id string
	user       string // the customer
	calls      []goldCall
	shop       *stock
}

// readTasks reads the gold calls of a source, grouped by task in the order of the file.
func readTasks(t testing.TB, source string, s *stock) []task {
	t.Helper()
	users := map[string]string{}
	testkit.Lines(t, "tau/tasks.jsonl", func(line []byte) {
		var r struct {
			Source, Domain, ID string
			UserID             string `json:"user_id"`
		}
		must(t, json.Unmarshal(line, &r))
		if r.Source == source && r.Domain == "retail" {
			users[r.ID] = r.UserID
		}
	})
	byTask := map[string]*task{}
	var ids []string
	testkit.Lines(t, "tau/gold_calls.jsonl", func(line []byte) {
		var r struct {
			goldCall
			Domain string
		}
		must(t, json.Unmarshal(line, &r))
		if r.Source != source || r.Domain != "retail" {
			return
		}
		if byTask[r.Task] == nil {
			byTask[r.Task] = &task{source: source, id: r.Task, shop: s}
			ids = append(ids, r.Task)
		}
		c := r.goldCall
		c.Result = unwrap(t, c.Result)
		byTask[r.Task].calls = append(byTask[r.Task].calls, c)
	})
	tasks := make([]task, 0, len(ids))
	for _, id := range ids {
		k := *byTask[id]
		slices.SortStableFunc(k.calls, func(a, b goldCall) int { return a.I - b.I })
		k.user = customerOf(t, k, users[id])
		tasks = append(tasks, k)
	}
	return tasks
}

// customerOf finds out who speaks in a task: the account that its own look-up finds, else the one that the task names, else the owner of what is changed first.
func customerOf(t testing.TB, k task, named string) string {
	s := k.shop.open()
	for _, c := range k.calls {
		if !strings.HasPrefix(c.Name, "find_user_id_") {
			continue
		}
		if raw, err := reads[c.Name](s, c.Args); err == nil {
			return parse[string](t, raw)
		}
	}
	if named != "" {
		return named
	}
	for _, c := range k.calls {
		if !c.write() {
			continue
		}
		if id := c.str("user_id"); id != "" {
			return id
		}
		return s.order(t, c.str("order_id")).User
	}
	return ""
}

// unwrap takes JSON out of a text, as the older suite records its results; null is nothing recorded.
func unwrap(t testing.TB, raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	if len(raw) == 0 || raw[0] != '"' {
		return raw
	}
	inner := parse[string](t, raw)
	if v, err := proviso.DecodeResultJSON([]byte(inner)); err == nil {
		if _, ok := v.(map[string]any); ok {
			return json.RawMessage(inner)
		}
	}
	return raw
}

func text(args map[string]any, name string) string {
	s, _ := args[name].(string)
	return s
}

func texts(args map[string]any, name string) []string {
	list, _ := args[name].([]any)
	out := make([]string, len(list))
	for i, v := range list {
		out[i], _ = v.(string)
	}
	return out
}

func parse[T any](t testing.TB, raw json.RawMessage) T {
	t.Helper()
	var v T
	must(t, json.Unmarshal(raw, &v))
	return v
}

func encode(t testing.TB, v any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(v)
	must(t, err)
	return raw
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
