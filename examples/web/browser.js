// Opens the page in headless Chromium and finds poses: node browser.js URL SCREENSHOT IMAGE_URL...
// Prints one line of JSON an image: {people: [{keypoints, scores, score}], places, milliseconds}; the first image is shown
// twice, so that no time is that of a start.
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
  const lines = [];
  for (const image of [...images.slice(0, 1), ...images]) {
    const found = await page.evaluate(async (image) => {
      const {show, ready} = await import('./app.js');
      await ready;
      const blob = await (await fetch(image)).blob();
      const {people, ...rest} = await show(blob);
      return {people: people.map(({keypoints, scores, score}) => ({keypoints, scores, score})), ...rest};
    }, image);
    lines.push(JSON.stringify(found));
  }
  console.log(lines.slice(1).join('\n'));
  if (screenshot) await page.screenshot({path: screenshot});
} finally {
  await browser.close();
}
