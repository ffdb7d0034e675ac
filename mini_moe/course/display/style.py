"""The one look of all that the course shows: cards, quizzes and explorers.

Every output carries this style sheet, so that it looks the same in JupyterLab, in a published page and in a file sent
by mail. Text is always ``currentColor`` and every background is translucent: whatever theme surrounds an output,
light or dark, its contrast is the theme's own. Colour only repeats what a word already says.
The doubled ``.mm.mm`` outranks the rules that JupyterLab and nbconvert have for lists and code in an output.
"""

STYLE = """<style>
.mm { --mm-hue: 128, 128, 128; --mm-line: rgba(128, 128, 128, .32); box-sizing: border-box; max-width: 46rem;
  margin: .4rem 0; padding: .75rem 1rem .8rem; border: 1px solid var(--mm-line);
  border-left: 4px solid rgb(var(--mm-hue)); border-radius: 4px; color: currentColor;
  background: rgba(var(--mm-hue), .05); font-family: var(--jp-content-font-family, system-ui, sans-serif);
  font-size: var(--jp-content-font-size1, .95rem); line-height: 1.5; overflow-wrap: anywhere; }
.mm *, .mm *::before { box-sizing: border-box; }
.mm.mm-passed { --mm-hue: 35, 150, 75; }
.mm.mm-wrong { --mm-hue: 214, 70, 60; }
.mm.mm-open { --mm-hue: 190, 135, 20; }
.mm.mm-note { --mm-hue: 60, 125, 215; }
.mm.mm .mm-head { display: flex; flex-wrap: wrap; align-items: center; gap: .2rem .6rem; margin: 0; }
.mm.mm .mm-status { padding: .05rem .6rem; border-radius: 1rem; background: rgba(var(--mm-hue), .2); font-weight: 600;
  font-size: .88em; white-space: nowrap; }
.mm.mm .mm-title { font-weight: 600; }
.mm.mm p { margin: .55rem 0 0; }
.mm.mm .mm-says { font-size: 1.06em; font-weight: 500; }
.mm.mm ul { margin: .55rem 0 0; padding: 0; list-style: none; }
.mm.mm li { position: relative; margin: .1rem 0; padding-left: 1.6em; }
.mm.mm li::before { position: absolute; left: .1em; content: attr(data-mark); font-weight: 700;
  color: rgb(var(--mm-hue)); }
.mm.mm li.mm-held { --mm-hue: 35, 150, 75; }
.mm.mm li.mm-failed { font-weight: 600; }
.mm.mm li.mm-untried { opacity: .75; }
.mm.mm li.mm-untried::before { color: inherit; }
.mm.mm .mm-word { font-weight: 400; font-size: .86em; opacity: .8; }
.mm.mm .mm-blocks { display: flex; flex-wrap: wrap; gap: .5rem .75rem; margin-top: .7rem; }
.mm.mm .mm-block { flex: 1 1 16rem; min-width: 0; margin: 0; }
.mm.mm .mm-label { margin: 0 0 .15rem; font-size: .86em; font-weight: 600; opacity: .8; }
.mm.mm pre { margin: 0; padding: .45rem .6rem; overflow-x: auto; border-radius: 3px; color: inherit;
  background: rgba(128, 128, 128, .13);
  font-family: var(--jp-code-font-family, ui-monospace, Menlo, Consolas, monospace); font-size: .84em;
  line-height: 1.4; white-space: pre; overflow-wrap: normal; }
.mm.mm .mm-prose { margin-top: .1rem; }
.mm .mm-says + .mm-label { margin-top: .7rem; }
.mm code { padding: .05em .3em; border-radius: 3px; background: rgba(128, 128, 128, .16); color: inherit;
  font-family: var(--jp-code-font-family, ui-monospace, Menlo, Consolas, monospace); font-size: .9em; }
.mm.mm .mm-foot { margin-top: .75rem; padding-top: .55rem; border-top: 1px solid var(--mm-line); font-size: .94em; }
.mm.mm form, .mm.mm fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
.mm.mm legend { float: left; width: 100%; margin: .55rem 0 .35rem; padding: 0; font-size: 1.06em; font-weight: 500; }
.mm.mm .mm-option { clear: both; display: grid; grid-template-columns: auto 1fr; gap: 0 .6rem; align-items: baseline;
  margin: .15rem 0; padding: .3rem .5rem; border-radius: 3px; cursor: pointer; }
.mm.mm .mm-option:hover { background: rgba(128, 128, 128, .12); }
.mm.mm .mm-option:focus-within { outline: 2px solid rgb(60, 125, 215); outline-offset: -1px; }
.mm.mm .mm-option input { margin: 0; }
.mm.mm .mm-reveal { display: none; grid-column: 2; margin-top: .25rem; padding: .3rem .6rem;
  border-left: 3px solid rgb(var(--mm-hue)); background: rgba(var(--mm-hue), .1); cursor: auto; }
.mm.mm .mm-option input:checked ~ .mm-reveal { display: block; }
.mm.mm .mm-right { --mm-hue: 35, 150, 75; }
.mm.mm .mm-not { --mm-hue: 214, 70, 60; }
.mm.mm .mm-slider { display: flex; flex-wrap: wrap; align-items: center; gap: .1rem .7rem; margin: 0 0 .4rem; }
.mm.mm .mm-slider .mm-title { min-width: 8rem; }
.mm.mm .mm-slider input { flex: 1 1 12rem; min-width: 0; height: 1.5rem; accent-color: rgb(60, 125, 215); }
.mm.mm .mm-slider output { min-width: 4.5rem; font-variant-numeric: tabular-nums; }
.mm.mm .mm-view { min-width: 0; overflow-x: auto; }
.mm-table { max-width: 100%; overflow-x: auto; margin: .4rem 0; }
.mm-table table { border-collapse: collapse; font-size: .95em; color: currentColor; }
.mm-table.mm-table th, .mm-table.mm-table td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top;
  min-width: 4.5rem; max-width: 28rem; white-space: normal;
  border-bottom: 1px solid rgba(128, 128, 128, .32); background: transparent; }
</style>"""
