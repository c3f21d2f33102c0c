// src/words.ts
var T = {
  title: "File transfer",
  skip: "Skip to content",
  version: "Mosquitto file transfer",
  tabs: { send: "Send", get: "Get", console: "Console" },
  consoleTabs: { transfers: "Transfers", files: "Files", clients: "Clients", health: "Health", events: "Events" },
  signOut: "Sign out",
  signedIn: (user) => user || "anonymous",
  link: {
    connecting: "Connecting\u2026",
    online: "Connected",
    waiting: "Reconnecting\u2026",
    refused: "Refused",
    taken: "Open elsewhere",
    off: "Not connected",
    away: (s2) => `The broker is out of reach. Trying again${s2 > 0 ? ` in ${s2} s` : ""}; nothing is lost.`,
    tryNow: "Try now",
    taken_text: "This page was opened in another tab or window with the same account. Only one can be connected.",
    useHere: "Use it here",
    ended: "The broker ended your session."
  },
  login: {
    heading: "Sign in",
    user: "User name",
    password: "Password",
    show: "Show",
    hide: "Hide",
    submit: "Sign in",
    busy: "Signing in\u2026",
    more: "More",
    clientId: "Client id",
    clientIdHelp: "Unfinished uploads belong to it. Where the broker takes the user name for it, write that here.",
    hint: "The broker's account. It is kept in this page's memory only.",
    plain: "This page came without encryption: the password will travel as plain text. Use https where you can.",
    wrong: "The broker does not know this user name and password.",
    away: "The broker does not answer. Is it running, and does it have a listener for WebSockets here?",
    badId: "The broker does not accept this client id.",
    refused: (why) => `The broker refused the connection: ${why}`
  },
  rights: {
    noUpload: "Your account may not send files. Ask the operator for the right to publish to $file/#.",
    noUploadAnswer: "The broker does not answer to uploads. Either the file-transfer plugin is not loaded, or your account may not read $file-response/\u2026, or the client id above is not the one that the broker uses.",
    noDownload: "Your account may not fetch files. Ask the operator for the right to publish to $file-get/#.",
    noDownloadAnswer: "The broker offers no files for download: plugin_opt_downloads is off.",
    noEvents: "Your account may not read $file-event/#."
  },
  send: {
    heading: "Send files",
    drop: "Drop files or folders here",
    or: "or",
    files: "Choose files",
    folder: "Choose a folder",
    note: "They go on by themselves after a lost connection.",
    empty: "Nothing sent yet",
    overall: (done, all) => `${done} of ${all} ${all === 1 ? "file" : "files"}`,
    left: (time) => `${time} left`,
    pauseAll: "Pause all",
    resumeAll: "Resume all",
    clear: "Clear finished",
    pause: "Pause",
    resume: "Resume",
    cancel: "Cancel",
    retry: "Try again",
    remove: "Remove",
    state: {
      queued: "Waiting for its turn",
      asking: "Asking the broker",
      sending: "Sending",
      hashing: "Computing the checksum",
      finishing: "The broker verifies it",
      waiting: "Waiting",
      paused: "Paused",
      done: "Stored and verified",
      failed: "Not sent",
      link: "Waiting for the connection"
    },
    had: "Was there already",
    again: (s2) => `Again in ${s2} s.`,
    changed: "The file has changed or is gone since you picked it. Pick it again.",
    unreadable: "The browser cannot read this file. Is it still there?",
    nameTooLong: "The name is longer than 240 bytes. Rename the file.",
    badName: "The broker takes no names with : or \\ or control characters. Rename the file.",
    unfinished: (n2) => n2 === 1 ? "1 upload was interrupted when the page was closed" : `${n2} uploads were interrupted when the page was closed`,
    unfinishedHelp: "Pick the same files again, and they go on where they were.",
    held: (percent) => `${percent} % is there`,
    forget: "Forget",
    leave: "Files are still being sent.",
    progress: (name) => `Progress of ${name}`
  },
  get: {
    heading: "Get files",
    search: "Search",
    empty: "Nothing is offered to you",
    none: "Nothing matches",
    download: "Download",
    cancel: "Cancel",
    pause: "Pause",
    resume: "Resume",
    again: "Download again",
    retry: "Try again",
    state: {
      asking: "Asking the broker",
      getting: "Fetching",
      verifying: "Verifying",
      done: "Saved, checksum verified",
      failed: "Not fetched",
      waiting: "Waiting",
      paused: "Paused",
      link: "Waiting for the connection",
      cancelled: "Cancelled"
    },
    tooLarge: (limit) => `This browser can save files of up to ${limit} from this page. Open it over https in Chromium or Edge, or use ft-get or mosquitto_rr.`,
    damaged: "What arrived is not what was offered: its checksum is another one. It was not saved.",
    silent: "The broker sends nothing more. Try again; the operator finds the reason in its log.",
    unwritable: "It could not be written to where you chose. Is that disk full?",
    count: (n2) => n2 === 1 ? "1 file" : `${n2.toLocaleString("en")} files`,
    more: "The list is cut here. Search for the beginning of a path.",
    checksum: "SHA-256",
    changed: "Changed",
    bound: (limit) => `Files go through this page's memory here, up to ${limit}.`
  },
  console: {
    heading: "Console",
    filter: "Filter by client or name",
    all: "All states",
    stale: "The list is from",
    ageNote: "refreshed",
    columns: {
      client: "Client",
      name: "Name",
      progress: "Progress",
      rate: "Rate",
      age: "Age",
      news: "Last news",
      state: "State",
      actions: "Actions",
      size: "Size",
      completed: "Completed",
      used: "Unfinished",
      transfers: "Uploads",
      files: "Files"
    },
    tiles: { active: "Unfinished", rate: "Throughput", finished: "Finished files", free: "Disk left", log: "Log fill", memory: "Memory" },
    pause: "Pause",
    resume: "Resume",
    abort: "Abort",
    pauseAll: "Pause all",
    resumeAll: "Resume all",
    allPaused: "All uploads are paused",
    abortTitle: "Abort this upload?",
    abortText: "Its bytes are deleted. The device stays connected and may begin again.",
    deleteTitle: "Delete this file?",
    deleteText: "The file and its manifest are removed from the broker's disk.",
    pauseAllTitle: "Pause all uploads?",
    pauseAllText: "Every device is told to wait until you resume. Nothing is lost.",
    confirmAbort: "Abort upload",
    confirmDelete: "Delete file",
    confirmPause: "Pause all",
    cancel: "Cancel",
    close: "Close",
    noTransfers: "No uploads are on their way",
    noMatch: "Nothing matches",
    noFiles: "No finished files",
    noClients: "No clients yet",
    loading: "Loading\u2026",
    shown: (n2, all) => n2 === all ? `${n2.toLocaleString("en")}` : `${n2.toLocaleString("en")} of ${all.toLocaleString("en")}`,
    aborted: (name) => `Aborted ${name}`,
    deleted: (name) => `Deleted ${name}`,
    paused: (name) => `Paused ${name}`,
    resumed: (name) => `Resumed ${name}`,
    fileSearch: { name: "Name", namePlaceholder: "*.log", client: "Client id", since: "From", until: "To", minSize: "At least", submit: "Search", reset: "Reset" },
    more: "Load more",
    sort: "Sort by",
    loadedNote: "Sorted among those that are loaded.",
    details: "Details",
    delete: "Delete",
    download: "Download",
    downloadNote: "It can be downloaded here where it is offered, too: link it into offers/ below the broker's storage_dir.",
    detail: {
      file: "File id",
      transfer: "Transfer id",
      path: "Path below storage_dir",
      sha: "SHA-256",
      expires: "Expires",
      never: "never",
      present: "On disk",
      yes: "yes",
      no: "taken away",
      copy: "Copy",
      copied: "Copied",
      ranges: "Bytes held",
      begun: "Begun",
      expiresIn: "Expires in"
    },
    limits: {
      title: "Limits",
      none: "none",
      overridden: "by limits_file",
      used: "Held by all clients",
      names: { storage_quota: "Quota of all", client_quota: "Quota", client_bandwidth: "Bandwidth", client_rate: "Commands per second", max_file_size: "Largest file", max_segment_size: "Largest segment", max_transfers_per_client: "Uploads at once" },
      change: "Limits are changed in the broker's limits_file.",
      reload: "Read limits_file again",
      reloaded: "limits_file was read again; what changed is in the broker's log."
    },
    clientsNote: "Clients with unfinished uploads, pauses, or files among the latest 1,000.",
    health: {
      throughput: "Throughput",
      received: "received",
      downloads: "downloads",
      latency: "Until a file is verified and visible",
      p50: "half are faster",
      p99: "99 of 100 are faster",
      refusals: "Refusals by reason",
      noRefusals: "Nothing was refused since the broker started",
      disk: "Disk",
      logFill: "Log",
      memory: "Memory",
      quota: "Quota",
      free: "free",
      of: "of",
      now: "now",
      minutes: (m2) => `last ${m2} min`,
      uptime: "Up",
      version: "Plugin",
      jobs: "Jobs",
      full: "The disk is full: no new bytes are taken.",
      fsync: "Disk sync, 99 of 100",
      chart: (title, value) => `${title}: ${value} now`
    },
    events: {
      none: "Nothing has happened since you signed in",
      help: "Events need plugin_opt_events on.",
      userData: "user_data",
      types: {
        started: "began",
        resumed: "went on with",
        completed: "completed",
        failed: "failed at",
        aborted: "gave up",
        expired: "expired:",
        deleted: "deleted:",
        download_started: "fetches",
        download_sent: "was sent",
        download_report: "reports on"
      }
    },
    states: { receiving: "Receiving", assembling: "Verifying", complete: "Complete", paused: "Paused" },
    ago: (time) => `${time} ago`
  }
};

// node_modules/preact/dist/preact.mjs
var n;
var t;
var r;
var u;
var i;
var f;
var o;
var e;
var l;
var c;
var a;
var s;
var h = /* @__PURE__ */ Symbol.for("pv");
var p = {};
var y = [];
var v = /^m(i|n|o|s|text|space)$/;
var w = Array.isArray;
var d = y.slice;
var _ = Object.assign;
function g(n2) {
  n2 && n2.parentNode && n2.remove();
}
function m(r2, u2, i2, f3, o3) {
  var e2 = { type: r2, props: u2, key: i2, ref: f3, __k: null, __: null, __b: 0, __e: null, __c: null, constructor: h, __v: o3 || ++t, __i: -1, __u: 0 };
  return !o3 && n.vnode && n.vnode(e2), e2;
}
function $(n2) {
  return n2.children;
}
function x(n2, t2) {
  this.props = n2, this.context = t2, this.__g = 0;
}
function S(n2, t2) {
  if (null == t2) return n2.__ && S(n2.__, n2.__i + 1);
  for (var r2; t2 < n2.__k.length; t2++) if ((r2 = n2.__k[t2]) && r2.__e) return r2.__e;
  return "function" != typeof n2.type || n2.props.__P ? null : S(n2);
}
function C(t2) {
  var r2, u2 = t2.__v, i2 = u2.__e, f3 = [], o3 = [], e2 = t2.__P;
  e2 && ((r2 = _({ constructor: h }, u2)).__v = u2.__v + 1, n.vnode && n.vnode(r2), z(e2, r2, u2, t2.__n, e2.namespaceURI, 32 & u2.__u ? [i2] : null, f3, i2 || S(u2), 32 & u2.__u, o3), r2.__v = u2.__v, r2.__.__k[r2.__i] = r2, E(f3, r2, o3), u2.__ = u2.__e = null, r2.__e != i2 && j(r2));
}
function j(n2) {
  if ((n2 = n2.__) && n2.__c && !n2.props.__P) return n2.__e = null, n2.__k.some(function(t2) {
    return t2 && (n2.__e = t2.__e);
  }), j(n2);
}
function L(t2) {
  (8 & t2.__g || (t2.__g |= 8, u.push(t2), f++)) && i == n.debounceRendering || ((i = n.debounceRendering) || queueMicrotask)(H);
}
function H() {
  try {
    for (var n2, t2 = 1; u.length; ) u.length > t2 && u.sort(o), n2 = u.shift(), t2 = u.length, 8 & n2.__g && C(n2);
  } finally {
    (f = u.length) && (i || queueMicrotask)(H);
  }
}
function I(n2, t2, r2, u2, i2, f3, o3, e2, l2, c2, a3) {
  var s2, h2, v2, w2, d2, _2, g2 = u2.__k || y, k = t2.length;
  for (l2 = q(r2, t2, g2, l2, k), s2 = 0; s2 < k; s2++) null != (v2 = r2.__k[s2]) && (h2 = ~v2.__i && g2[v2.__i] || p, v2.__i = s2, _2 = z(n2, v2, h2, i2, f3, o3, e2, l2, c2, a3), w2 = v2.__e, (h2.ref != v2.ref || 8 & h2.__u) && (h2.ref && G(h2.ref, null, v2, h2), v2.ref && a3.push(v2.ref, v2.__c || w2, v2)), d2 = d2 || w2, 4 & v2.__u ? (l2 = A(v2, l2, n2, !h2.__v), h2.__e && (h2.__e = null)) : "function" == typeof v2.type && void 0 !== _2 ? l2 = _2 : w2 && (l2 = w2.nextSibling), v2.__u &= -21);
  return r2.__e = d2, l2;
}
function q(n2, t2, r2, u2, i2) {
  var f3, o3, e2, l2, c2, a3, s2, p2, y2, v2 = r2.length, d2 = v2, _2 = 0, g2 = 0, k = n2.__k = Array(i2);
  for (f3 = 0; f3 < i2; f3++) null != (o3 = t2[f3]) && "boolean" != typeof o3 && "function" != typeof o3 ? ("object" != typeof o3 || o3.constructor === String ? o3 = k[f3] = m(null, o3) : w(o3) ? o3 = k[f3] = m($, { children: o3 }) : o3.constructor === h && o3.__b ? o3 = k[f3] = m(o3.type, o3.props, o3.key, o3.ref, o3.__v) : k[f3] = o3, l2 = f3 + _2, o3.__ = n2, o3.__b = n2.__b + 1, e2 = null, ~(c2 = o3.__i = P(o3, r2, l2, d2)) && (d2--, (e2 = r2[c2]) && (e2.__u |= 2)), e2 && e2.__v ? (o3.__u |= 16, c2 == l2 - 1 ? _2-- : c2 == l2 + 1 ? _2++ : c2 != l2 && (c2 > l2 ? _2-- : _2++, g2 = 1)) : (~c2 || (i2 > v2 ? _2-- : i2 < v2 && _2++), "function" != typeof o3.type && (o3.__u |= 4))) : k[f3] = null;
  if (g2) {
    for (a3 = [], s2 = [], f3 = 0; f3 < i2; f3++) if ((o3 = k[f3]) && 16 & o3.__u) {
      for (_2 = 0, p2 = a3.length; _2 < p2; ) a3[y2 = _2 + p2 >> 1] < o3.__i ? _2 = y2 + 1 : p2 = y2;
      a3[_2] = o3.__i, s2[f3] = _2 + 1;
    }
    for (_2 = a3.length; f3--; ) s2[f3] && (s2[f3] == _2 ? _2-- : k[f3].__u |= 4);
  }
  if (d2) for (f3 = 0; f3 < v2; f3++) !(e2 = r2[f3]) || 2 & e2.__u || (e2.__e == u2 && (u2 = S(e2)), J(e2, e2));
  return u2;
}
function A(n2, t2, r2, u2) {
  var i2, f3, o3, e2;
  if ("function" == typeof n2.type) {
    if (n2.props.__P) return t2;
    if (i2 = n2.__k) for (f3 = 0; f3 < i2.length; f3++) i2[f3] && (i2[f3].__ = n2, t2 = A(i2[f3], t2, r2, false));
    return t2;
  }
  for (t2 && !t2.parentNode && (t2 = S(n2)) && !t2.parentNode && (t2 = null), o3 = n2.__e, e2 = t2; e2 && 8 == e2.nodeType; ) e2 = e2.nextSibling;
  for (o3 != e2 && (!u2 && r2.moveBefore && o3.parentNode ? r2.moveBefore(o3, t2) : r2.insertBefore(o3, t2 || null)), t2 = o3; (t2 = t2 && t2.nextSibling) && 8 == t2.nodeType && !t2.data.startsWith("$s"); ) ;
  return t2;
}
function P(n2, t2, r2, u2) {
  var i2, f3 = n2.key, o3 = n2.type, e2 = t2[r2], l2 = e2 && !(2 & e2.__u);
  if (null === e2 && null == f3 || l2 && f3 == e2.key && o3 == e2.type) return r2;
  if (u2 > (l2 ? 1 : 0)) {
    for (i2 = r2 - 1; i2 >= 0; i2--) if ((e2 = t2[i2]) && !(2 & e2.__u) && f3 == e2.key && o3 == e2.type) return i2;
    for (i2 = r2 + 1; i2 < t2.length; i2++) if ((e2 = t2[i2]) && !(2 & e2.__u) && f3 == e2.key && o3 == e2.type) return i2;
  }
  return -1;
}
function T2(n2, t2, r2) {
  null == r2 && (r2 = ""), "-" == t2[0] ? n2.setProperty(t2, r2) : n2[t2] = r2;
}
function N(n2, t2, r2, u2, i2) {
  var f3, o3;
  if ("style" == t2) if ("string" == typeof r2) n2.style.cssText = r2;
  else {
    if ("string" == typeof u2 && (n2.style.cssText = u2 = ""), u2) for (t2 in u2) r2 && t2 in r2 || T2(n2.style, t2);
    if (r2) for (t2 in r2) u2 && r2[t2] == u2[t2] || T2(n2.style, t2, r2[t2]);
  }
  else if ("o" == t2[0] && "n" == t2[1]) "function" != typeof r2 && (r2 = null), "function" != typeof u2 && (u2 = null), (n2.__e || (n2.__e = {}))[t2] = r2, r2 && u2 || (o3 = a[t2] || (a[t2] = V(t2)), (n2.__a || (n2.__a = {}))[t2] = c, f3 = t2 != (t2 = t2.replace(l, "$1")), (t2 = t2.slice(2))[0] < "a" && (t2 = t2.toLowerCase()), r2 ? n2.addEventListener(t2, o3, f3) : n2.removeEventListener(t2, o3, f3));
  else {
    if ("http://www.w3.org/2000/svg" == i2) t2 = t2.replace(/xlink(H|:h)/, "h").replace(/sName$/, "s");
    else if ("width" != t2 && "height" != t2 && "href" != t2 && "list" != t2 && "form" != t2 && "tabIndex" != t2 && "download" != t2 && "rowSpan" != t2 && "colSpan" != t2 && "role" != t2 && "popover" != t2 && t2 in n2) try {
      return void (n2[t2] = null == r2 ? "" : r2);
    } catch (n3) {
    }
    if ("function" == typeof r2) return;
    null == r2 || false === r2 && "-" != t2[4] ? n2.removeAttribute(t2) : n2.setAttribute(t2, "popover" == t2 && 1 == r2 ? "" : r2);
  }
}
function V(t2) {
  return function(r2) {
    var u2 = this.__e;
    if (u2) {
      if (u2 = u2[t2], null == r2[e]) r2[e] = c++;
      else if (r2[e] < this.__a[t2]) return;
      return u2(n.event ? n.event(r2) : r2);
    }
  };
}
function z(t2, r2, u2, i2, f3, o3, e2, l2, c2, a3) {
  var s2, p2, v2, d2, k, b, m2, M, C2, j2, L2, H3, q2, A2, O, P2, T3, N2, V2 = r2.type;
  if (r2.constructor !== h) return null;
  128 & u2.__u && (c2 = 32 & u2.__u, s2 = u2.__c.__z) && (r2.__u |= c2, p2 = o3 = [], 8 == s2.nodeType ? l2 = B(s2, o3) : o3.push(s2), l2 = o3[0] || l2), (s2 = n.__b) && s2(r2);
  n: if ("function" == typeof V2) {
    v2 = e2.length;
    try {
      if (M = r2.props, C2 = (s2 = V2.prototype) && s2.render, j2 = (s2 = V2.contextType) && i2[s2.__c], L2 = s2 ? j2 ? j2.props.value : s2.__ : i2, (d2 = u2.__c) ? (r2.__c = d2, 2 & d2.__g && (d2.__g |= 1)) : (C2 ? r2.__c = d2 = new V2(M, L2) : (r2.__c = d2 = new x(M, L2), d2.constructor = V2, d2.render = K), j2 && j2.sub(d2), d2.state || (d2.state = {}), d2.__n = i2, d2.__g |= 8, d2.__h = [], d2.__k = []), C2 && (d2.__s || (d2.__s = d2.state), V2.getDerivedStateFromProps && (d2.__s == d2.state && (d2.__s = _({}, d2.__s)), _(d2.__s, V2.getDerivedStateFromProps(M, d2.__s)))), k = d2.props, b = d2.state, d2.__v = r2, u2.__c) {
        if (M !== k && C2 && !V2.getDerivedStateFromProps && d2.componentWillReceiveProps && d2.componentWillReceiveProps(M, L2), r2.__v == u2.__v && !(8 & d2.__g) || !(4 & d2.__g) && d2.shouldComponentUpdate && false === d2.shouldComponentUpdate(M, d2.__s, L2)) {
          r2.__v != u2.__v && (d2.props = M, d2.state = d2.__s, d2.__g &= -9), r2.__e = u2.__e, r2.__k = u2.__k, r2.__k.some(function(n2) {
            n2 && (n2.__ = r2);
          }), y.push.apply(d2.__h, d2.__k), d2.__k = [], d2.__h.length && e2.push(d2), l2 = S(u2);
          break n;
        }
        d2.componentWillUpdate && d2.componentWillUpdate(M, d2.__s, L2), C2 && d2.componentDidUpdate && d2.__h.push(function() {
          d2.componentDidUpdate(k, b, m2);
        });
      } else C2 && !V2.getDerivedStateFromProps && d2.componentWillMount && d2.componentWillMount(), C2 && d2.componentDidMount && d2.__h.push(d2.componentDidMount);
      d2.context = L2, d2.props = M, d2.__P = t2, d2.__g &= -5, H3 = n.__r, q2 = C2 ? 25 : 0;
      do {
        d2.__g &= -9, H3 && H3(r2), s2 = d2.render(d2.props, d2.state = d2.__s, d2.context);
      } while (8 & d2.__g && ++q2 < 25);
      C2 && (y.push.apply(d2.__h, d2.__k), d2.__k = []), d2.state = d2.__s, d2.getChildContext && (i2 = _({}, i2, d2.getChildContext())), C2 && u2.__c && d2.getSnapshotBeforeUpdate && (m2 = d2.getSnapshotBeforeUpdate(k, b)), A2 = s2 && s2.type === $ && null == s2.key ? s2.props.children : s2, M.__P && (s2 = l2, f3 = (t2 = M.__P).namespaceURI, c2 = o3 = null, u2.props && u2.props.__P != t2 && (u2.__k.some(function(n2) {
        n2 && J(n2, n2);
      }), u2.__k = null), l2 = u2.__k ? S(u2, 0) : null), l2 = I(t2, w(A2) ? A2 : [A2], r2, u2, i2, f3, o3, e2, l2, c2, a3), M.__P && (r2.__e = null, l2 = s2), r2.__u &= -161, p2 && p2.some(g), d2.__h.length && e2.push(d2), 1 & d2.__g && (d2.__g &= -4);
    } catch (t3) {
      if (e2.length = v2, r2.__v = null, c2 || o3) if (t3 && t3.then) {
        if (r2.__u |= 128 | c2, o3) {
          for (~(T3 = o3.indexOf(l2 || void 0)) || (T3 = o3.length); (N2 = o3[T3 - 1]) && 8 == N2.nodeType; ) T3--;
          for (; T3 < o3.length; T3++) if (N2 = o3[T3]) if (o3[T3] = null, O) {
            if (N2 == P2) break;
          } else {
            if (8 != N2.nodeType) break;
            N2.data.startsWith("$s") && (P2 = B(O = N2));
          }
        }
        if (!O) {
          for (; l2 && 8 == l2.nodeType && l2.nextSibling; ) l2 = l2.nextSibling;
          O = l2;
        }
        (s2 = B(O = r2.__c.__z || (r2.__c.__z = O))) ? (r2.__e = O, l2 = s2) : r2.__e = l2, l2 = l2 && l2.nextSibling;
      } else o3 && o3.some(g);
      else r2.__e = u2.__e;
      r2.__k || (r2.__k = u2.__k || []), t3 && t3.then || D(r2), n.__e(t3, r2, u2);
    }
  } else l2 = r2.__e = F(u2.__e, r2, u2, i2, f3, o3, e2, c2, a3, t2);
  return (s2 = n.diffed) && s2(r2), l2;
}
function B(n2, t2) {
  if (n2 && 8 == n2.nodeType && n2.data.startsWith("$s")) for (var r2 = 1; n2 = n2.nextSibling; ) {
    if (8 == n2.nodeType) {
      if (n2.data.startsWith("$s")) r2++;
      else if (n2.data.startsWith("/$s") && !--r2) return n2;
    }
    t2 && t2.push(n2);
  }
}
function D(n2) {
  n2 && (n2.__c && (n2.__c.__g |= 4), n2.__k && n2.__k.some(D));
}
function E(t2, r2, u2) {
  for (var i2 = 0; i2 < u2.length; ) G(u2[i2++], u2[i2++], u2[i2++]);
  n.__c && n.__c(r2, t2), t2.some(function(r3) {
    try {
      t2 = r3.__h, r3.__h = [], t2.some(function(n2) {
        n2.call(r3);
      });
    } catch (t3) {
      n.__e(t3, r3.__v);
    }
  });
}
function F(t2, r2, u2, i2, f3, o3, e2, l2, c2, a3) {
  var s2, h2, y2, _2, k, b, m2, M, $2 = u2.props || p, x2 = r2.props, C2 = r2.type;
  if ("svg" == C2 ? f3 = "http://www.w3.org/2000/svg" : "math" == C2 ? f3 = "http://www.w3.org/1998/Math/MathML" : f3 || (f3 = "http://www.w3.org/1999/xhtml"), o3) {
    for (s2 = 0; s2 < o3.length; s2++) if ((k = o3[s2]) && (C2 ? k.localName == C2 : 3 == k.nodeType)) {
      t2 = k, o3[s2] = null;
      break;
    }
  }
  if (!t2) {
    if (M = a3.ownerDocument || document, !C2) return M.createTextNode(x2);
    t2 = M.createElementNS(f3, C2, x2.is ? x2 : a3), l2 && (n.__m && n.__m(r2, o3), l2 = false), o3 = null;
  }
  if (C2) {
    if (a3 = "template" == C2 && t2.content || t2, o3 = "textarea" == C2 && null != x2.defaultValue ? null : o3 && d.call(a3.childNodes), !l2 && o3) for ($2 = {}, s2 = 0; s2 < t2.attributes.length; s2++) $2[(k = t2.attributes[s2]).name] = k.value;
    for (s2 in $2) k = $2[s2], "dangerouslySetInnerHTML" == s2 ? y2 = k : "children" == s2 || s2 in x2 || "value" == s2 && "defaultValue" in x2 || "checked" == s2 && "defaultChecked" in x2 || N(t2, s2, null, k, f3);
    for (s2 in x2) k = x2[s2], "children" == s2 ? _2 = k : "dangerouslySetInnerHTML" == s2 ? h2 = k : "value" == s2 ? b = k : "checked" == s2 ? m2 = k : l2 && "function" != typeof k || $2[s2] === k || N(t2, s2, k, $2[s2], f3);
    h2 ? (l2 || y2 && (h2.__html == y2.__html || h2.__html == t2.innerHTML) || (t2.innerHTML = h2.__html), r2.__k = []) : (y2 && (t2.textContent = ""), ("foreignObject" == C2 || "http://www.w3.org/1998/Math/MathML" == f3 && v.test(C2)) && (f3 = "http://www.w3.org/1999/xhtml"), I(a3, w(_2) ? _2 : [_2], r2, u2, i2, f3, o3, e2, o3 ? o3[0] : u2.__k && S(u2, 0), l2, c2), o3 && o3.some(g)), l2 && "textarea" != C2 || (s2 = "value", "progress" == C2 && null == b ? t2.removeAttribute(s2) : null == b || b === t2[s2] && ("progress" != C2 || b) || N(t2, s2, b, $2[s2], f3), s2 = "checked", null != m2 && m2 != t2[s2] && N(t2, s2, m2, $2[s2], f3));
  } else $2 === x2 || l2 && t2.data == x2 || (t2.data = x2);
  return t2;
}
function G(t2, r2, u2, i2) {
  try {
    "function" == typeof t2 ? r2 ? r2.__x = t2(r2) || 1 : i2 && (i2 = i2.__c || i2.__e) && (r2 = i2.__x) && (i2.__x = null, "function" == typeof r2 ? r2() : t2(null)) : t2.current = r2;
  } catch (t3) {
    n.__e(t3, u2);
  }
}
function J(t2, r2, u2) {
  var i2, f3, o3, e2;
  if (n.unmount && n.unmount(t2), !(i2 = t2.ref) || i2.current && i2.current != t2.__e || G(i2, null, r2, t2), i2 = t2.__c) {
    if (i2.componentWillUnmount) try {
      i2.componentWillUnmount();
    } catch (t3) {
      n.__e(t3, r2);
    }
    i2.__P = i2.__n = null;
  }
  if (i2 = t2.__k) for (e2 = 0; e2 < i2.length; e2++) i2[e2] && J(i2[e2], r2, "function" != typeof t2.type || u2 && !t2.props.__P);
  !u2 && (i2 = t2.__c) && (i2 = i2.__z) && (f3 = B(i2, o3 = [])) && (i2 == t2.__e && o3.some(g), g(f3), g(i2)), u2 || g(t2.__e), t2.__e = t2.__c = t2.__ = null;
}
function K(n2, t2, r2) {
  return this.constructor(n2, r2);
}
n = { __e: function(n2, t2, r2, u2) {
  for (var i2, o3, e2; t2 = t2.__; ) if ((i2 = t2.__c) && !(1 & i2.__g)) {
    i2.__g |= 4;
    try {
      if ((e2 = (o3 = i2.constructor) && o3.getDerivedStateFromError) && i2.setState(o3.getDerivedStateFromError(n2)), i2.componentDidCatch && (i2.componentDidCatch(n2, u2 || {}), e2 = 1), e2 && 8 & i2.__g) return void (i2.__g |= 2);
    } catch (t3) {
      n2 = t3;
    }
  }
  throw f = 0, n2;
} }, t = 0, r = function(n2) {
  return null != n2 && n2.constructor === h;
}, x.prototype.setState = function(n2, t2) {
  var r2 = this.__s;
  r2 && r2 != this.state || (r2 = this.__s = _({}, this.state)), "function" == typeof n2 && (n2 = n2(_({}, r2), this.props)), n2 && (_(r2, n2), this.__v && (t2 && this.__k.push(t2), L(this)));
}, x.prototype.forceUpdate = function(n2) {
  this.__v && (this.__g |= 4, n2 && this.__h.push(n2), L(this));
}, x.prototype.render = $, u = [], f = 0, o = function(n2, t2) {
  return n2.__v.__b - t2.__v.__b;
}, e = /* @__PURE__ */ Symbol(), l = /(PointerCapture)$|Capture$/i, c = 0, a = {}, s = 0;

// node_modules/preact/jsx-runtime/dist/jsxRuntime.mjs
var f2 = /* @__PURE__ */ Symbol.for("pv");
var o2 = 0;
function a2(t2, e2, n2, u2, a3, i2) {
  e2 || (e2 = {});
  var c2, l2, p2 = e2;
  if ("ref" in p2 && "function" != typeof t2) for (l2 in p2 = {}, e2) "ref" == l2 ? c2 = e2[l2] : p2[l2] = e2[l2];
  var s2 = { type: t2, props: p2, key: n2, ref: c2, __k: null, __: null, __b: 0, __e: null, __c: null, constructor: f2, __v: --o2, __i: -1, __u: 0 };
  return (a3 || i2) && (s2.__source = a3, s2.__self = i2), n.vnode && n.vnode(s2), s2;
}

// src/views/chart.tsx
var WIDE = 600;
var TALL = 140;
function ceiling(largest) {
  if (largest <= 0)
    return 1;
  const power = 2 ** Math.ceil(Math.log2(largest * 1.05));
  return largest * 1.05 <= power * 0.75 ? power * 0.75 : power;
}
function Chart({ title, times, series, format, small = false }) {
  const top = ceiling(Math.max(0, ...series.flatMap((one) => one.values)));
  const tall = small ? 28 : TALL, first = times[0] ?? 0, span = Math.max(1, (times.at(-1) ?? 0) - first);
  const x2 = (at) => ((times[at] ?? 0) - first) * WIDE / span;
  const y2 = (value) => tall - 2 - value * (tall - 6) / top;
  const line = (one) => one.values.map((value, at) => `${at ? "L" : "M"}${x2(at).toFixed(1)} ${y2(value).toFixed(1)}`).join("");
  const latest = series.map((one) => format(one.values.at(-1) ?? 0));
  const label = H2(title, latest.join(", "));
  const picture = /* @__PURE__ */ a2("svg", { class: `chart ${small ? "spark" : ""}`, viewBox: `0 0 ${WIDE} ${tall}`, preserveAspectRatio: "none", role: "img", "aria-label": label, children: [
    !small && [0.25, 0.5, 0.75].map((part) => /* @__PURE__ */ a2("line", { class: "grid", x1: "0", x2: WIDE, y1: y2(top * part), y2: y2(top * part) }, part)),
    !small && /* @__PURE__ */ a2("line", { class: "base", x1: "0", x2: WIDE, y1: tall - 2, y2: tall - 2 }),
    times.length > 1 && series.map((one) => /* @__PURE__ */ a2("g", { class: `series ${one.tone}`, children: [
      /* @__PURE__ */ a2("path", { class: "area", d: `${line(one)}L${WIDE} ${tall - 2}L0 ${tall - 2}Z` }),
      /* @__PURE__ */ a2("path", { class: "line", d: line(one) })
    ] }, one.name))
  ] });
  if (small)
    return picture;
  return /* @__PURE__ */ a2("figure", { children: [
    /* @__PURE__ */ a2("figcaption", { children: [
      /* @__PURE__ */ a2("h2", { children: title }),
      /* @__PURE__ */ a2("div", { class: "legend", children: series.map((one, at) => /* @__PURE__ */ a2("span", { class: one.tone, children: [
        /* @__PURE__ */ a2("i", { "aria-hidden": "true" }),
        one.name,
        " ",
        /* @__PURE__ */ a2("strong", { class: "figure", children: latest[at] })
      ] }, one.name)) })
    ] }),
    /* @__PURE__ */ a2("div", { class: "plot", children: [
      /* @__PURE__ */ a2("span", { class: "scale figure", children: format(top) }),
      picture
    ] }),
    /* @__PURE__ */ a2("p", { class: "muted small axis", children: [
      /* @__PURE__ */ a2("span", { children: times.length > 1 ? T.console.health.minutes(Math.max(1, Math.round(span / 6e4))) : T.console.loading }),
      /* @__PURE__ */ a2("span", { children: T.console.health.now })
    ] })
  ] });
}
var H2 = T.console.health.chart;
export {
  Chart,
  ceiling
};
