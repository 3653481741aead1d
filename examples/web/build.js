// Puts the LiteRT runtime beside the page, so that the folder is all a server needs.
import {cpSync, existsSync, mkdirSync, rmSync} from 'node:fs';

const from = 'node_modules/@litertjs';
rmSync('vendor', {recursive: true, force: true});
for (const name of ['core', 'wasm-utils']) {
  mkdirSync(`vendor/${name}`, {recursive: true});
  cpSync(`${from}/${name}/dist/index.js`, `vendor/${name}/index.js`);
}
cpSync(`${from}/core/wasm`, 'vendor/core/wasm', {recursive: true});
console.log('vendor/: the LiteRT runtime');
for (const [name, bundle] of [['cpm', 'cpm-light'], ['person', 'cpm-light-person']])
  if (!existsSync(`model/${name}.tflite`))
    console.log(`model/${name}.tflite is missing: keras-cpm export ${bundle} --to tflite --out examples/web/model/${name}.tflite`);
