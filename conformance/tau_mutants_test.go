package conformance

import (
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/proviso-dev/proviso"
)

// mutation is one way to make a right write wrong.
type mutation struct {
	name string
	// cites are the clauses that a denial must name at least one of; beside are clauses that the same change can break as well.
	// A denial that names any other clause counts as wrong.
	cites, beside []string
	// tools are the writes that the mutation applies to.
	tools []string
	// make changes the case in place and reports whether the write can be made wrong in this way.
	make func(m *mutant) bool
}

// mutant is a gold write on its way to becoming wrong: what is asked for, over which database, by whom, and after what.
type mutant struct {
	t      testing.TB
	gold   goldCall
	args   map[string]any // a copy that may be changed in place
	tool   string
	shop   *shop // as it was just before the gold write; may be changed
	user   string
	who    customer
	before func(d *desk) // what happens in the conversation before the wrong call
	order  order         // the order of the gold write, empty for a profile
	me     user
}

func newMutant(t testing.TB, k task, w goldCall, before *shop) *mutant {
	m := &mutant{t: t, gold: w, args: maps.Clone(w.Args), tool: w.Name, shop: before.clone(), user: k.user}
	m.me = m.shop.user(t, k.user)
	m.who = customer{knows: knownAs(m.me), agrees: true}
	m.before = func(*desk) {}
	if id := w.str("order_id"); id != "" {
		m.order = m.shop.order(t, id)
	}
	return m
}

// pick chooses one of several, always the same for the same gold write.
func pick[T any](m *mutant, of []T) T {
	h := fnv.New32a()
	h.Write([]byte(m.gold.Source + "/" + m.gold.Task + "/" + strconv.Itoa(m.gold.I)))
	return of[int(h.Sum32()%uint32(len(of)))]
}

var (
	swaps    = []string{"modify_pending_order_items", "exchange_delivered_order_items"}
	pending  = []string{"cancel_pending_order", "modify_pending_order_address", "modify_pending_order_items", "modify_pending_order_payment"}
	onOrders = append(slices.Clone(pending), "return_delivered_order_items", "exchange_delivered_order_items")
	writes   = append(slices.Clone(onOrders), "modify_user_address")
	paid     = append(slices.Clone(swaps), "modify_pending_order_payment", "return_delivered_order_items")

	// whoseMethod are the clauses on whose way of paying may be used.
	whoseMethod = []string{"payment-own", "swap-payment", "return-refund", "exchange-articles"}
	// whichArticles are the clauses on articles, which an order that was not meant breaks along the way.
	whichArticles = []string{"swap-ordered", "swap-product", "swap-different", "swap-stock", "swap-balance", "return-ordered", "exchange-articles"}
	closedOrder   = []string{"open-orders", "cancel-pending", "change-pending", "return-delivered", "exchange-delivered"}
)

// mutations are the kinds in the order in which they are reported.
var mutations = []mutation{
	{name: "nobody: the caller's details fit no account", cites: []string{"identify", "identify-failed"}, tools: writes,
		make: func(m *mutant) bool {
			m.who.knows = map[string]string{"email": "no.such.person@example.invalid", "first_name": "No", "last_name": "Such-Person", "zip": "00000"}
			return true
		}},
	{name: "somebody else: the caller proves to be another customer", cites: []string{"one-customer"}, beside: append(whoseMethod, "swap-balance", "payment-balance"), tools: writes,
		make: func(m *mutant) bool {
			m.who.knows = knownAs(m.shop.user(m.t, m.stranger()))
			return true
		}},
	{name: "order of another customer", cites: []string{"one-customer"}, beside: append(append(whoseMethod, whichArticles...), "payment-balance"), tools: onOrders,
		make: func(m *mutant) bool {
			o, ok := m.orderOfStranger()
			if !ok {
				return false
			}
			m.aim(o)
			return true
		}},
	{name: "second customer in one conversation", cites: []string{"one-customer"}, beside: append(append(whoseMethod, whichArticles...), "payment-balance"), tools: onOrders,
		make: func(m *mutant) bool {
			o, ok := m.orderOfStranger()
			if !ok {
				return false
			}
			gold := m.gold
			m.before = func(d *desk) {
				d.serve(gold)
				d.who.knows = knownAs(d.shop.user(d.t, o.User))
			}
			m.aim(o)
			return true
		}},
	{name: "profile of another customer", cites: []string{"one-customer"}, tools: []string{"modify_user_address"},
		make: func(m *mutant) bool {
			m.args["user_id"] = m.stranger()
			return true
		}},
	{name: "declined: the customer says no", cites: []string{"confirm"}, tools: writes,
		make: func(m *mutant) bool {
			m.who.agrees = false
			return true
		}},
	{name: "yes before anything was proposed", cites: []string{"confirm"}, tools: writes,
		make: func(m *mutant) bool {
			m.who.agrees = false
			m.before = func(d *desk) { d.line.say(proviso.User, "Yes, please go ahead.") }
			return true
		}},
	{name: "changed after the yes", cites: []string{"confirm"}, tools: writes,
		make: func(m *mutant) bool { return m.afterYes(alterations[m.tool]) }},
	{name: "less than was agreed to", cites: []string{"confirm"}, tools: slices.Collect(maps.Keys(reductions)),
		make: func(m *mutant) bool { return m.afterYes(reductions[m.tool]) }},
	{name: "order not pending", cites: []string{"cancel-pending", "change-pending"}, beside: []string{"open-orders"}, tools: pending,
		make: func(m *mutant) bool {
			m.shop.setStatus(m.t, m.order.ID, pick(m, []string{"processed", "delivered", "cancelled", "pending (item modified)"}))
			return true
		}},
	{name: "order not delivered", cites: []string{"return-delivered", "exchange-delivered"}, beside: []string{"open-orders"}, tools: []string{"return_delivered_order_items", "exchange_delivered_order_items"},
		make: func(m *mutant) bool {
			m.shop.setStatus(m.t, m.order.ID, pick(m, []string{"pending", "processed", "cancelled", "return requested", "exchange requested"}))
			return true
		}},
	{name: "second swap of one order", cites: []string{"swap-once"}, beside: append(append(closedOrder, whichArticles...), "change-final"), tools: swaps,
		make: func(m *mutant) bool {
			gold := m.gold
			m.before = func(d *desk) { d.serve(gold) }
			if m.tool == "modify_pending_order_items" {
				m.args["item_ids"], m.args["new_item_ids"] = m.args["new_item_ids"], m.args["item_ids"]
			}
			return true
		}},
	{name: "second swap in a later conversation", cites: []string{"change-pending", "exchange-delivered"}, beside: append(whichArticles, "open-orders"), tools: swaps,
		make: func(m *mutant) bool {
			m.shop.write(m.t, m.gold)
			return true
		}},
	{name: "changed or cancelled after its articles were swapped", cites: []string{"change-final"}, beside: append(closedOrder, "swap-once"), tools: []string{"modify_pending_order_items"},
		make: func(m *mutant) bool {
			gold := m.gold
			m.before = func(d *desk) { d.serve(gold) }
			if pick(m, []bool{true, false}) {
				m.tool, m.args = "cancel_pending_order", map[string]any{"order_id": m.order.ID, "reason": "no longer needed"}
				return true
			}
			m.tool, m.args = "modify_pending_order_address", map[string]any{"order_id": m.order.ID, "address1": "1 Nowhere Road", "address2": "", "city": "Austin", "state": "TX", "country": "USA", "zip": "78701"}
			return true
		}},
	{name: "reason for cancelling not on the list", cites: []string{"cancel-reason"}, tools: []string{"cancel_pending_order"},
		make: func(m *mutant) bool {
			m.args["reason"] = pick(m, []string{"found it cheaper elsewhere", "the delivery takes too long", "No Longer Needed", "no longer needed or ordered by mistake", ""})
			return true
		}},
	{name: "way of paying of somebody else", cites: []string{"payment-own", "swap-payment", "return-refund"}, beside: []string{"exchange-articles"}, tools: paid,
		make: func(m *mutant) bool {
			other := slices.Sorted(maps.Keys(m.shop.user(m.t, m.stranger()).Methods))
			if len(other) == 0 {
				return false
			}
			m.args["payment_method_id"] = pick(m, other)
			return true
		}},
	{name: "paid the same way as before", cites: []string{"payment-other"}, beside: []string{"payment-balance"}, tools: []string{"modify_pending_order_payment"},
		make: func(m *mutant) bool {
			m.args["payment_method_id"] = m.order.Payments[0].Method
			return true
		}},
	{name: "gift card balance too low", cites: []string{"payment-balance", "swap-balance"}, beside: []string{"exchange-articles"}, tools: append(swaps, "modify_pending_order_payment"),
		make: (*mutant).poorGiftCard},
	{name: "refund to another card of the customer", cites: []string{"return-refund"}, tools: []string{"return_delivered_order_items"},
		make: func(m *mutant) bool {
			m.shop.addCreditCard(m.t, m.order.User, "credit_card_0000000")
			m.args["payment_method_id"] = "credit_card_0000000"
			return true
		}},
	{name: "new article of another product", cites: []string{"swap-product"}, beside: []string{"exchange-articles", "swap-balance"}, tools: swaps,
		make: func(m *mutant) bool {
			own := m.product(0)
			var others []string
			for _, id := range m.shop.productIDs {
				if id != own {
					others = append(others, available(m.shop.parsed[id], true, "")...)
				}
			}
			return m.replaceNew(0, others)
		}},
	{name: "new article out of stock", cites: []string{"swap-stock"}, beside: []string{"exchange-articles", "swap-balance"}, tools: swaps,
		make: func(m *mutant) bool {
			return m.replaceNew(0, available(m.shop.parsed[m.product(0)], false, texts(m.args, "item_ids")[0]))
		}},
	{name: "article swapped for itself", cites: []string{"swap-different"}, beside: []string{"exchange-articles", "swap-stock", "swap-balance"}, tools: swaps,
		make: func(m *mutant) bool { return m.replaceNew(0, texts(m.args, "item_ids")[:1]) }},
	{name: "more or fewer new articles than old ones", cites: []string{"swap-pairs"}, beside: []string{"exchange-articles"}, tools: swaps,
		make: func(m *mutant) bool {
			list := texts(m.args, "new_item_ids")
			if len(list) > 1 && pick(m, []bool{true, false}) {
				m.set("new_item_ids", list[:len(list)-1])
			} else {
				m.set("new_item_ids", append(list, list[0]))
			}
			return true
		}},
	{name: "article that was not ordered", cites: []string{"swap-ordered", "return-ordered"}, beside: []string{"exchange-articles"}, tools: append(swaps, "return_delivered_order_items"),
		make: func(m *mutant) bool {
			var others []string
			for _, id := range m.shop.productIDs {
				for _, it := range slices.Sorted(maps.Keys(m.shop.parsed[id].Variants)) {
					if !slices.ContainsFunc(m.order.Items, func(x item) bool { return x.ID == it }) && !slices.Contains(texts(m.args, "new_item_ids"), it) {
						others = append(others, it)
					}
				}
			}
			list := texts(m.args, "item_ids")
			list[0] = pick(m, others)
			m.set("item_ids", list)
			return true
		}},
	{name: "article more often than it was ordered", cites: []string{"swap-ordered", "return-ordered"}, beside: []string{"exchange-articles", "swap-balance"}, tools: append(swaps, "return_delivered_order_items"),
		make: func(m *mutant) bool {
			list, news := texts(m.args, "item_ids"), texts(m.args, "new_item_ids")
			for _, x := range m.order.Items {
				if x.ID == list[0] {
					list = append(list, list[0])
					if len(news) > 0 {
						news = append(news, news[0])
					}
				}
			}
			m.set("item_ids", list)
			if len(news) > 0 {
				m.set("new_item_ids", news)
			}
			return true
		}},
}

func (m *mutant) set(arg string, list []string) {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	m.args[arg] = out
}

// stranger is another customer than the one who speaks.
func (m *mutant) stranger() string {
	id := pick(m, m.shop.userIDs)
	if id != m.user {
		return id
	}
	i := slices.Index(m.shop.userIDs, id)
	return m.shop.userIDs[(i+1)%len(m.shop.userIDs)]
}

// orderOfStranger is an order of somebody else in the very state that the tool wants.
func (m *mutant) orderOfStranger() (order, bool) {
	var ids []string
	for _, id := range m.shop.orderIDs {
		if o := m.shop.order(m.t, id); o.User != m.user && o.Status == m.order.Status {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return order{}, false
	}
	return m.shop.order(m.t, pick(m, ids)), true
}

// aim turns the call to an order, with articles of that order where it names articles.
func (m *mutant) aim(o order) {
	m.args["order_id"] = o.ID
	if _, ok := m.args["item_ids"]; !ok {
		return
	}
	old := o.Items[0]
	m.set("item_ids", []string{old.ID})
	if _, ok := m.args["new_item_ids"]; ok {
		if news := available(m.shop.parsed[old.Product], true, old.ID); len(news) > 0 {
			m.set("new_item_ids", news[:1])
		}
	}
}

// product is the product of the old article at position i.
func (m *mutant) product(i int) string { return m.line(i).Product }

// line is the line of the order that the old article at position i stands in.
func (m *mutant) line(i int) item {
	old := texts(m.args, "item_ids")[i]
	at := slices.IndexFunc(m.order.Items, func(x item) bool { return x.ID == old })
	if at < 0 {
		m.t.Fatalf("task %s call %d: article %s is not in the order, though the suite's tool accepted it", m.gold.Task, m.gold.I, old)
	}
	return m.order.Items[at]
}

func (m *mutant) replaceNew(i int, candidates []string) bool {
	if len(candidates) == 0 {
		return false
	}
	list := texts(m.args, "new_item_ids")
	list[i] = pick(m, candidates)
	m.set("new_item_ids", list)
	return true
}

// available lists the variants of a product that are in stock, or those that are not, without one of them.
func available(p product, inStock bool, without string) []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(p.Variants)) {
		if p.Variants[id].Available == inStock && id != without {
			out = append(out, id)
		}
	}
	return out
}

// afterYes lets the customer agree to the right call and then asks for another one, to which they would not agree.
func (m *mutant) afterYes(alter func(m *mutant) bool) bool {
	agreed := maps.Clone(m.args)
	if !alter(m) {
		return false
	}
	m.before = func(d *desk) {
		d.arrange(m.tool, agreed)
		d.who.agrees = false
	}
	return true
}

// alterations turn a write into another one that would be as right, had it been proposed. They report whether there is such a write.
var alterations = map[string]func(m *mutant) bool{
	"cancel_pending_order": func(m *mutant) bool {
		m.args["reason"] = map[string]string{"no longer needed": "ordered by mistake", "ordered by mistake": "no longer needed"}[text(m.args, "reason")]
		return true
	},
	"modify_pending_order_address": func(m *mutant) bool { m.args["address1"] = "1 Nowhere Road"; return true },
	"modify_user_address":          func(m *mutant) bool { m.args["address1"] = "1 Nowhere Road"; return true },
	"modify_pending_order_payment": func(m *mutant) bool {
		m.shop.addCreditCard(m.t, m.order.User, "credit_card_0000000")
		m.args["payment_method_id"] = "credit_card_0000000"
		return true
	},
	"modify_pending_order_items":     (*mutant).cheaperArticle,
	"exchange_delivered_order_items": (*mutant).cheaperArticle,
	"return_delivered_order_items": func(m *mutant) bool {
		m.shop.setBalance(m.t, m.order.User, "gift_card_0000000", 1)
		m.args["payment_method_id"] = "gift_card_0000000"
		return true
	},
}

// reductions leave out a part of a write, so that all that is left was proposed, though not by itself.
var reductions = map[string]func(m *mutant) bool{
	"modify_pending_order_address":   (*mutant).withoutFlat,
	"modify_user_address":            (*mutant).withoutFlat,
	"modify_pending_order_items":     (*mutant).withoutLastArticle,
	"exchange_delivered_order_items": (*mutant).withoutLastArticle,
	"return_delivered_order_items":   (*mutant).withoutLastArticle,
}

func (m *mutant) withoutFlat() bool {
	flat := text(m.args, "address2")
	m.args["address2"] = ""
	return flat != ""
}

// withoutLastArticle leaves the last article out where the customer has no more to pay without it, so that no gift card can fall short.
func (m *mutant) withoutLastArticle() bool {
	old, news := texts(m.args, "item_ids"), texts(m.args, "new_item_ids")
	last := len(old) - 1
	if last == 0 {
		return false
	}
	if len(news) > 0 {
		line := m.line(last)
		if m.shop.parsed[line.Product].Variants[news[last]].Price < line.Price {
			return false
		}
		m.set("new_item_ids", news[:last])
	}
	m.set("item_ids", old[:last])
	return true
}

// cheaperArticle chooses another variant that does not cost more, so that no gift card can fall short.
func (m *mutant) cheaperArticle() bool {
	p, now := m.shop.parsed[m.product(0)], texts(m.args, "new_item_ids")[0]
	var others []string
	for _, id := range available(p, true, texts(m.args, "item_ids")[0]) {
		if id != now && p.Variants[id].Price <= p.Variants[now].Price {
			others = append(others, id)
		}
	}
	return m.replaceNew(0, others)
}

// poorGiftCard pays with a gift card of the customer that holds a cent less than it has to.
func (m *mutant) poorGiftCard() bool {
	due := m.order.Payments[0].Amount
	if m.tool != "modify_pending_order_payment" {
		due = 0
		for i, old := range texts(m.args, "item_ids") {
			line, best := m.line(i), ""
			p := m.shop.parsed[line.Product]
			for _, id := range available(p, true, old) {
				if best == "" || p.Variants[id].Price > p.Variants[best].Price {
					best = id
				}
			}
			if best == "" {
				return false
			}
			m.replaceNew(i, []string{best})
			due += p.Variants[best].Price - line.Price
		}
	}
	if due <= 0.02 {
		return false
	}
	m.shop.setBalance(m.t, m.order.User, "gift_card_0000000", float64(int64(due*100)-1)/100)
	m.args["payment_method_id"] = "gift_card_0000000"
	return true
}
