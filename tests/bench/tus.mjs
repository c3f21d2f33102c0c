// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The official tus server as its documentation starts it: node tus.mjs PORT DIRECTORY
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';

const [port, directory] = process.argv.slice(2);
const server = new Server({ path: '/files', datastore: new FileStore({ directory }) });

server.listen({ host: '127.0.0.1', port: Number(port) });
