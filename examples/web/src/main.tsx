// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import { render } from "preact";
import { brokerUrl, confine } from "./broker.ts";
import "./style.css";
import { App } from "./views/app.tsx";

void brokerUrl().then((url) => {
	confine(url);
	render(<App url={url} />, document.getElementById("app") as HTMLElement);
});
