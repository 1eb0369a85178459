// A client made of Visual Studio Code's own library: node client.js SERVER FOLDER_URI.
const assert = require('assert')
const { spawn } = require('child_process')
const { createProtocolConnection, StreamMessageReader, StreamMessageWriter } = require('vscode-languageserver-protocol/node')
const fs = require('fs')

async function main(program, folder) {
  const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] })
  const connection = createProtocolConnection(new StreamMessageReader(child.stdout), new StreamMessageWriter(child.stdin))
  const findings = {}
  let wake = () => {}
  connection.onNotification('textDocument/publishDiagnostics', p => { findings[p.uri] = p.diagnostics; wake() })
  connection.listen()
  const began = await connection.sendRequest('initialize', { processId: process.pid, rootUri: folder, capabilities: {} })
  assert.strictEqual(began.capabilities.textDocumentSync.change, 2)
  await connection.sendNotification('initialized', {})
  const uri = folder + '/rules.yaml'
  const text = fs.readFileSync(new URL(uri), 'utf8').replace('args.amount', 'args.amuont')
  await connection.sendNotification('textDocument/didOpen', { textDocument: { uri, languageId: 'yaml', version: 1, text } })
  while (!(findings[uri] || []).some(d => d.code === 'PV102')) await new Promise(resolve => { wake = resolve })
  const line = text.split('\n').findIndex(l => l.includes('amuont'))
  const items = await connection.sendRequest('textDocument/completion', { textDocument: { uri }, position: { line, character: text.split('\n')[line].indexOf('args.') + 5 } })
  assert(items.some(i => i.label === 'amount'))
  const hover = await connection.sendRequest('textDocument/hover', { textDocument: { uri: folder + '/policy.md' }, position: { line: 2, character: 4 } })
  assert(hover.contents.value.includes('window'))
  await connection.sendRequest('shutdown')
  const ended = new Promise(resolve => child.on('exit', resolve))
  await connection.sendNotification('exit')
  assert.strictEqual(await ended, 0)
  console.log('all well')
}

main(...process.argv.slice(2)).catch(e => { console.error(e); process.exit(1) })
