/** The bundle of what draws lines over time: asked for when the first one is drawn. */
import uPlot from "uplot";
import styles from "uplot/dist/uPlot.min.css";

export { styles, uPlot };
