// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import { render } from "preact";
import { brokerUrl, confine } from "./broker.ts";
import "./style.css";
import { App } from "./views/app.tsx";

/* The form is there at once; where the broker is comes a moment later. */
render(<App url={brokerUrl().then((url) => {
	confine(url);
	return url;
})} />, document.getElementById("app") as HTMLElement);
