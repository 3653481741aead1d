// Opens the page in headless Chromium and finds poses: node browser.js URL SCREENSHOT IMAGE_URL...
// Prints one line of JSON an image: {keypoints, scores, milliseconds}, the time of the second go.
import {existsSync} from 'node:fs';
import {chromium} from 'playwright-core';

const [url, screenshot, ...images] = process.argv.slice(2);
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const quiet = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const browser = await chromium.launch({executablePath, args: quiet});
try {
  const page = await browser.newPage({viewport: {width: 1000, height: 900}});
  page.on('pageerror', (error) => console.error(String(error)));
  await page.goto(url);
  for (const image of images) {
    const found = await page.evaluate(async (image) => {
      const {show, ready} = await import('./app.js');
      await ready;
      const blob = await (await fetch(image)).blob();
      await show(blob);
      const {keypoints, scores, milliseconds} = await show(blob);
      return {keypoints, scores, milliseconds};
    }, image);
    console.log(JSON.stringify(found));
  }
  if (screenshot) await page.screenshot({path: screenshot});
} finally {
  await browser.close();
}
